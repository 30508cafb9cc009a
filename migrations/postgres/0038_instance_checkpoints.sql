-- The chain of the instance has checkpoints as well, and no row among the projects: no foreign key, as for `audit_heads`.
ALTER TABLE audit_checkpoints DROP CONSTRAINT audit_checkpoints_project_id_fkey;
