-- What somebody did, and what happened in a while: each goes along the journal from there on, and no further.
CREATE INDEX journal_by_actor ON journal (actor, revision);
CREATE INDEX journal_by_time ON journal (time, revision);

-- Calls that were refused to somebody who is known. Nothing changed by them, so they are not in the journal; how many
-- are kept, and for how long, is bounded.
CREATE TABLE refused_call (
    id         INTEGER PRIMARY KEY CHECK (id > 0),
    time       INTEGER NOT NULL,
    actor      TEXT    NOT NULL,
    method     TEXT    NOT NULL,
    reason     TEXT    NOT NULL,
    namespace  TEXT,
    token_id   BLOB    CHECK (length(token_id) = 16),
    unrecorded INTEGER NOT NULL CHECK (unrecorded >= 0)
) STRICT;

-- What the journal was, signed with a key that is not here; subtrees is what its tree goes on from.
CREATE TABLE checkpoint (
    revision INTEGER PRIMARY KEY CHECK (revision >= 0),
    time     INTEGER NOT NULL,
    note     TEXT    NOT NULL,
    subtrees BLOB    NOT NULL
) STRICT;
