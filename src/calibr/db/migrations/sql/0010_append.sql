-- What append_events does, for one event and in fewer steps: most transactions have one. The head is locked until commit by
-- the same row. The wall leaves one head to add to; where there is none to keep the others out, more than one row is refused.
create function calibr.append_event(
  event_id uuid, aggregate_type text, aggregate_id text, type text, schema_version text,
  correlation uuid, causation uuid, actor text, at timestamptz, body bytea) returns bigint
  language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp
as $$
declare
  last bigint;
begin
  with head as (update calibr.tenant_head set seq = seq + 1 returning tenant_id, seq)
  insert into calibr.event(tenant_id, seq, event_id, aggregate_type, aggregate_id, type, schema_version,
                           correlation_id, causation_id, actor, at, body)
  select head.tenant_id, head.seq, append_event.event_id, append_event.aggregate_type, append_event.aggregate_id,
         append_event.type, append_event.schema_version, correlation, causation, append_event.actor, append_event.at,
         append_event.body
  from head returning event.seq into last;
  if last is null then
    raise exception 'tenant % has no head', sec.tenant() using errcode = '23503';
  end if;
  return last;
end $$;
revoke all on function calibr.append_event from public;
grant execute on function calibr.append_event to calibr_app, calibr_worker;
