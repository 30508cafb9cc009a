-- Who stands behind a key that another admin made, as the audit log names them: the person, or the key, at the beginning. Null: the command line made it, or it is older than this column.
ALTER TABLE admin_keys ADD COLUMN made_by text;
