-- How a connection comes by its credential, and the states that follow from it. The allowed steps stand in
-- calibr.catalog.connection_states; the trigger below mirrors them and a test compares the two.

alter table calibr.connection drop constraint connection_state_check;
alter table calibr.connection add constraint connection_state_check
  check (state in ('pending', 'active', 'failing', 'unauthorized', 'uninstalled', 'disabled'));

create function calibr.connection_may(source text, target text) returns boolean
  language sql immutable set search_path = pg_catalog, pg_temp
as $$ select (source, target) in (
  ('pending', 'active'), ('failing', 'active'), ('unauthorized', 'active'), ('uninstalled', 'active'),
  ('active', 'failing'),
  ('active', 'unauthorized'), ('failing', 'unauthorized'),
  ('pending', 'uninstalled'), ('active', 'uninstalled'), ('failing', 'uninstalled'), ('unauthorized', 'uninstalled'),
  ('pending', 'disabled'), ('active', 'disabled'), ('failing', 'disabled'), ('unauthorized', 'disabled'),
  ('uninstalled', 'disabled'), ('disabled', 'active')) $$;
revoke all on function calibr.connection_may(text, text) from public;
grant execute on function calibr.connection_may(text, text) to calibr_app, calibr_worker;

create function calibr.guard_connection() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
  if tg_op = 'INSERT' then
    if new.state not in ('pending', 'active') then
      raise exception 'a connection begins as pending or active, not as %', new.state using errcode = '23514';
    end if;
  elsif new.state is distinct from old.state and not calibr.connection_may(old.state, new.state) then
    raise exception 'connection % may not go from % to %', old.id, old.state, new.state using errcode = '23514';
  end if;
  return new;
end $$;
revoke all on function calibr.guard_connection() from public;
create trigger connection_guard before insert or update of state on calibr.connection
  for each row execute function calibr.guard_connection();

-- What the store issued to a connection; the tokens themselves are sealed in calibr.secret, written in the same transaction.
-- This row is the lock: whoever asks the store for a new token holds it until the new one is kept.
create table calibr.store_grant(
  tenant_id uuid not null,
  connection_id uuid not null,
  generation bigint not null default 0,        -- how many tokens this connection has had
  secrets_revision bigint not null default 0,  -- how often a person gave another credential
  account text,                                -- of a rotating pair: two connections that shared it would end each other's
  scopes text[] not null default '{}',
  obtained_at timestamptz,
  expires_at timestamptz,
  refresh_expires_at timestamptz,
  primary key (tenant_id, connection_id),
  unique (tenant_id, account),
  foreign key (tenant_id, connection_id) references calibr.connection(tenant_id, id));
call sec.wall('calibr.store_grant');
grant select, insert, update on calibr.store_grant to calibr_app, calibr_worker;

-- A consent that was asked for. The state itself goes to the browser only; here stands its hash, and it is good once.
create table calibr.consent_attempt(
  tenant_id uuid not null,
  state_hash bytea not null,
  connection_id uuid not null,
  redirect_uri text not null,
  requested_by text not null,
  correlation_id uuid not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  used_at timestamptz,
  primary key (tenant_id, state_hash),
  foreign key (tenant_id, connection_id) references calibr.connection(tenant_id, id));
call sec.wall('calibr.consent_attempt');
create index consent_attempt_connection on calibr.consent_attempt(tenant_id, connection_id);
grant select, insert, update, delete on calibr.consent_attempt to calibr_app;
grant select on calibr.consent_attempt to calibr_worker;
