-- Judged calls, where a namespace wants them on record. They are evidence and not authority, so there is no MAC. Personal
-- data of those who call is here alone: in subject and details. The records of a day (UTC) are a partition of their
-- own, access_record_dN for the Nth day since 1970: servers make them ahead, and drop them once nobody wants them.
CREATE TABLE access_record (
    namespace TEXT   COLLATE "C" NOT NULL,
    time      BIGINT NOT NULL,
    id        UUID   NOT NULL,
    token_id  UUID,
    subject   TEXT   COLLATE "C",
    details   JSONB  NOT NULL,
    PRIMARY KEY (namespace, time, id)
) PARTITION BY RANGE (time);

CREATE INDEX access_by_token ON access_record (token_id, time, id) WHERE token_id IS NOT NULL;
CREATE INDEX access_by_subject ON access_record (namespace, subject, time, id) WHERE subject IS NOT NULL;
