-- Lists go through a namespace in one of four orders, forwards or backwards; the tokens of one subject lie together,
-- in the order of issue. What goes by id does so by the primary key.
DROP INDEX token_by_namespace;
CREATE UNIQUE INDEX token_by_create_time ON token (namespace, create_time, id);
CREATE INDEX token_by_name ON token (namespace, name COLLATE "C", id);
CREATE INDEX token_by_expire_time ON token (namespace, expire_time, id);
CREATE INDEX token_by_subject ON token (namespace, subject COLLATE "C", create_time, id);
