-- What a device asks of the sign-in that allows it: how sure, and not before a moment.
ALTER TABLE device_grants ADD COLUMN acr_values text;
ALTER TABLE device_grants ADD COLUMN auth_from integer;
