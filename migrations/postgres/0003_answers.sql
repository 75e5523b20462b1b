-- From here on journal.request_id is a digest of the id that a caller chose, never the id itself: a UUID of
-- version 8, the first 122 bits of SHA-256('tokenward request id v1' followed by its 16 bytes). Where the caller
-- chose none, it is one of version 7 that the server chose.

-- What a repeated Issue or Rotate is answered with: the token and its secret, sealed under a key that is made of
-- the request id and the pepper, neither of which is here. By the revision of its entry, which grows with time:
-- the request id would be one more index with random keys.
CREATE TABLE answer (
    revision    BIGINT  PRIMARY KEY CHECK (revision > 0),
    pepper      INTEGER NOT NULL,
    sealed      BYTEA   NOT NULL,
    expire_time BIGINT  NOT NULL
);

CREATE INDEX answer_by_expiry ON answer (expire_time);
