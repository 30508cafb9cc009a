-- Whether the password was set by a mailed link: who has the mailbox has it then, and a mailed code beside it proves nothing
-- more.
ALTER TABLE credentials ADD COLUMN by_mail boolean NOT NULL DEFAULT FALSE;
