-- The event log, which is also the outbox: append-only by grant and by trigger.

create table calibr.tenant_head(
  tenant_id uuid primary key references calibr.tenant,
  seq bigint not null default 0);
call sec.wall('calibr.tenant_head');
grant select, insert, update on calibr.tenant_head to calibr_app, calibr_worker;

create table calibr.event(
  tenant_id uuid not null,
  seq bigint not null,
  event_id uuid not null,
  aggregate_type text not null,
  aggregate_id text not null,
  type text not null,
  schema_version text not null,
  correlation_id uuid not null,
  causation_id uuid,
  actor text not null,
  at timestamptz not null,
  body bytea not null,
  leaf bytea generated always as (sha256('\x00'::bytea || body)) stored,
  primary key (tenant_id, seq),
  unique (tenant_id, event_id));
call sec.wall('calibr.event');
create index event_aggregate on calibr.event(tenant_id, aggregate_type, aggregate_id, seq);
grant select, insert on calibr.event to calibr_app, calibr_worker;

create function calibr.refuse_rewrite() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp
as $$ begin raise exception '% is append-only', tg_table_name using errcode = '42501'; end $$;
revoke all on function calibr.refuse_rewrite() from public;
create trigger event_append_only before update or delete on calibr.event
  for each row execute function calibr.refuse_rewrite();
create trigger event_no_truncate before truncate on calibr.event
  for each statement execute function calibr.refuse_rewrite();

-- Appends in the order given and returns the last sequence number. It must be the last statement of its transaction: the
-- head row stays locked until commit, so that commits of one tenant follow the order of seq and a rollback leaves no gap.
create function calibr.append_events(
  event_ids uuid[], aggregate_types text[], aggregate_ids text[], types text[], schema_versions text[],
  correlation uuid, causation uuid, actor text, at timestamptz, bodies bytea[]) returns bigint
  language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp
as $$
declare
  tenant uuid := sec.tenant();
  added int := cardinality(event_ids);
  last bigint;
begin
  update calibr.tenant_head set seq = seq + added where tenant_id = tenant returning seq into last;
  if last is null then
    raise exception 'tenant % has no head', tenant using errcode = '23503';
  end if;
  insert into calibr.event(tenant_id, seq, event_id, aggregate_type, aggregate_id, type, schema_version,
                           correlation_id, causation_id, actor, at, body)
  select tenant, last - added + e.n, e.event_id, e.aggregate_type, e.aggregate_id, e.type, e.schema_version,
         correlation, causation, append_events.actor, append_events.at, e.body
  from unnest(event_ids, aggregate_types, aggregate_ids, types, schema_versions, bodies)
       with ordinality e(event_id, aggregate_type, aggregate_id, type, schema_version, body, n);
  return last;
end $$;
revoke all on function calibr.append_events from public;
grant execute on function calibr.append_events to calibr_app, calibr_worker;

-- The audit trail is a view over the log: nothing is written twice.
create view calibr.audit with (security_invoker = true, security_barrier = true) as
  select event_id as id, tenant_id, seq, aggregate_type as entity, aggregate_id as entity_id, type as action, actor,
         convert_from(body, 'UTF8')::jsonb -> 'payload' as explain, correlation_id, causation_id, at as created_at
  from calibr.event;
grant select on calibr.audit to calibr_app, calibr_worker;
