-- By which codes a sign-in was proven, in words separated by spaces (`app`, `mail`, `recovery`): a client may take some of them
-- alone, and `amr` calls them all by one name. Empty beside `otp`: nobody knows any more.
ALTER TABLE browser_sessions ADD COLUMN codes text NOT NULL DEFAULT '';
ALTER TABLE sign_ins_in_progress ADD COLUMN codes text NOT NULL DEFAULT '';
