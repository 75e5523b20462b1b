-- The rules of a namespace, as JSON; what is not said is off.
ALTER TABLE namespace ADD COLUMN policy TEXT NOT NULL DEFAULT '{}';
