-- One for the instance, as `erasures`: each node keeps the last one that it saw in a file, and knows by it a store that was set back.
-- Number 0 names the store. A mark that says `told` was made by `tessera restored`, and stays.
CREATE TABLE store_marks (
    seq   bigint PRIMARY KEY,               -- not `integer`, which would be the rowid and no index to compare
    nonce text NOT NULL,
    at    integer NOT NULL,
    told  boolean NOT NULL
);
