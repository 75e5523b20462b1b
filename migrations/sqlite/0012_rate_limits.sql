-- How often the tokens of a subject may be used, all together, as JSON; none: as its namespace says.
ALTER TABLE subject ADD COLUMN rate_limit TEXT;

DROP VIEW subject_record;

-- What is said of a subject as the program reads it: one JSON object, with the MAC over it. Which entry was the last to
-- concern it is asked of the journal by name, for a row that is gone has none to ask. What is not JSON must not fail the
-- other rows of a look-up.
CREATE VIEW subject_record (namespace, subject, version, record, mac) AS
SELECT namespace, subject, version, json_object(
    'namespace', namespace,
    'subject', subject,
    'plan', plan,
    'suspension', CASE WHEN suspend_time IS NOT NULL
        THEN json_object('time', suspend_time, 'reason', suspend_reason) END,
    'not_before', CASE WHEN not_before_time IS NOT NULL
        THEN json_object('time', not_before_time, 'reason', not_before_reason) END,
    'rate_limit', CASE WHEN json_valid(rate_limit) THEN json(rate_limit) END,
    'create_time', create_time,
    'update_time', update_time
), mac
FROM subject;
