-- What somebody did, and what happened in a while: each goes along the journal from there on, and no further.
CREATE INDEX journal_by_actor ON journal (actor, revision);
CREATE INDEX journal_by_time ON journal (time, revision);

-- Calls that were refused to somebody who is known. Nothing changed by them, so they are not in the journal; how many
-- are kept, and for how long, is bounded.
CREATE TABLE refused_call (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    time       BIGINT NOT NULL,
    actor      TEXT   NOT NULL,
    method     TEXT   NOT NULL,
    reason     TEXT   NOT NULL,
    namespace  TEXT,
    token_id   UUID,
    unrecorded BIGINT NOT NULL CHECK (unrecorded >= 0)
);

-- What the journal was, signed with a key that is not here; subtrees is what its tree goes on from.
CREATE TABLE checkpoint (
    revision BIGINT PRIMARY KEY CHECK (revision >= 0),
    time     BIGINT NOT NULL,
    note     TEXT   NOT NULL,
    subtrees BYTEA  NOT NULL
);
