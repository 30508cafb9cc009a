-- A project's own words in the letters that are sent for it, by kind and language.
CREATE TABLE mail_templates (
    project_id blob NOT NULL REFERENCES projects (id),
    kind       text NOT NULL,
    language   text NOT NULL,
    subject    text NOT NULL,
    text       text NOT NULL,
    updated_at integer NOT NULL,
    PRIMARY KEY (project_id, kind, language)
);
