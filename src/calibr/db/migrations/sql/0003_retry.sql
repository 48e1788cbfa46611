-- A price change that tries again what another one could not write. Its origin is fixed, as that of a rollback is.

alter table calibr.price_change add column retry_of uuid;
alter table calibr.price_change add constraint price_change_retry_of
  foreign key (tenant_id, retry_of) references calibr.price_change(tenant_id, id);
create index price_change_retry on calibr.price_change(tenant_id, retry_of) where retry_of is not null;

create function calibr.guard_retry_of() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
  raise exception 'the origin of price change % is fixed', old.id using errcode = '23514';
end $$;
revoke all on function calibr.guard_retry_of() from public;
create trigger price_change_retry_guard before update on calibr.price_change
  for each row when (old.retry_of is distinct from new.retry_of) execute function calibr.guard_retry_of();
