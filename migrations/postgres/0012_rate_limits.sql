-- How often the tokens of a subject may be used, all together, as JSON; none: as its namespace says.
ALTER TABLE subject ADD COLUMN rate_limit JSONB;

DROP VIEW subject_record;

-- What is said of a subject as the program reads it: one JSON object, with the MAC over it. Which entry was the last to
-- concern it is asked of the journal by name, for a row that is gone has none to ask.
CREATE VIEW subject_record (namespace, subject, version, record, mac) AS
SELECT namespace, subject, version, json_build_object(
    'namespace', namespace,
    'subject', subject,
    'plan', plan,
    'suspension', CASE WHEN suspend_time IS NOT NULL
        THEN json_build_object('time', suspend_time, 'reason', suspend_reason) END,
    'not_before', CASE WHEN not_before_time IS NOT NULL
        THEN json_build_object('time', not_before_time, 'reason', not_before_reason) END,
    'rate_limit', rate_limit,
    'create_time', create_time,
    'update_time', update_time
)::text, mac
FROM subject;

-- What the servers have taken from the budgets of rate limits, together: one row a budget that was taken from lately. It
-- is gone, and made anew, once the budget has long been whole. Nothing that changes is indexed, so that to count is cheap.
CREATE TABLE budget (
    -- Whose it is, and under which limit.
    key      BYTEA  PRIMARY KEY,
    -- When nothing will be missing, by the clock of the database, as all instants in these two tables: servers need not
    -- agree on what time it is.
    whole_at BIGINT NOT NULL
) WITH (fillfactor = 50);

-- The last report of each server: one whose answer was lost is sent again, and counted once.
CREATE TABLE budget_report (
    reporter BYTEA  PRIMARY KEY CHECK (octet_length(reporter) = 16),
    sequence BIGINT NOT NULL,
    time     BIGINT NOT NULL
);
