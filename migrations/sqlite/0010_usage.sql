-- What tokens were used for. It is evidence and not authority: no verdict rests on it, so it has no MAC, and no index but
-- by token, for a row is written with each flush in which its token was used. Personal data lives in record alone.
CREATE TABLE token_usage (
    token_id      BLOB    PRIMARY KEY CHECK (length(token_id) = 16),
    last_use_time INTEGER,
    record        TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

-- Which flush of each recorder was the last to be added: one that is sent again is not added again.
CREATE TABLE usage_flush (
    recorder BLOB    PRIMARY KEY CHECK (length(recorder) = 16),
    sequence INTEGER NOT NULL,
    time     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Since when uses are recorded without a break; without a row, they are not.
CREATE TABLE usage_recording (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    since INTEGER NOT NULL
) STRICT;
