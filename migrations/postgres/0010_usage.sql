-- What tokens were used for. It is evidence and not authority: no verdict rests on it, so it has no MAC, and no index but
-- by token, for a row is written with each flush in which its token was used. Personal data lives in record alone.
-- Room on each page keeps the new version of a row beside the old one.
CREATE TABLE token_usage (
    token_id      UUID   PRIMARY KEY,
    last_use_time BIGINT,
    record        JSONB  NOT NULL
) WITH (fillfactor = 70);

-- Which flush of each recorder was the last to be added: one that is sent again is not added again.
CREATE TABLE usage_flush (
    recorder BYTEA  PRIMARY KEY CHECK (octet_length(recorder) = 16),
    sequence BIGINT NOT NULL,
    time     BIGINT NOT NULL
) WITH (fillfactor = 50);

-- Since when uses are recorded without a break; without a row, they are not.
CREATE TABLE usage_recording (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    since BIGINT  NOT NULL
);
