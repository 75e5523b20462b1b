-- Judged calls, where a namespace wants them on record. They are evidence and not authority, so there is no MAC. Personal
-- data of those who call is here alone: in subject and details. Rows are written in the order of time, or nearly.
CREATE TABLE access_record (
    namespace TEXT    NOT NULL,
    time      INTEGER NOT NULL,
    id        BLOB    NOT NULL CHECK (length(id) = 16),
    token_id  BLOB    CHECK (length(token_id) = 16),
    subject   TEXT,
    details   TEXT    NOT NULL,
    PRIMARY KEY (namespace, time, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX access_by_token ON access_record (token_id, time, id) WHERE token_id IS NOT NULL;
CREATE INDEX access_by_subject ON access_record (namespace, subject, time, id) WHERE subject IS NOT NULL;
