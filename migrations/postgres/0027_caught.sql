-- Messages of sandboxes have a state of their own, in which nobody looks for what is due.
UPDATE outbox SET state = 'caught' WHERE state = 'waiting' AND kind <> 'mail_request'
  AND project_id IN (SELECT id FROM projects WHERE kind = 'sandbox');
CREATE INDEX outbox_caught ON outbox (project_id, id) WHERE state = 'caught';
