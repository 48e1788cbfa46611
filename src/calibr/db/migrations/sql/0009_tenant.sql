-- The check of the tenant context, as before but in fewer steps: each statement makes it once per policy, six times where
-- an event is appended. It asked two functions of its own, each with a search path to set and to take back. The message is
-- that of sec.binding(), the digest that of sec.mac(), word for word. The one row of the key is read without its index.
create or replace function sec.tenant() returns uuid
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp parallel restricted
as $$
declare
  context text := current_setting('calibr.ctx', true);
  tenant text := split_part(context, '.', 1);
  message bytea := convert_to(tenant || '.' || pg_backend_pid() || '.'
                              || (extract(epoch from transaction_timestamp()) * 1000000)::bigint, 'UTF8');
  inner_pad bytea;
  outer_pad bytea;
begin
  if context is null or context = '' then
    raise exception 'no tenant context' using errcode = '42501';
  end if;
  select ipad, opad into strict inner_pad, outer_pad from sec.key;
  if encode(sha256(outer_pad || sha256(inner_pad || message)), 'hex') is distinct from split_part(context, '.', 2) then
    raise exception 'bad tenant context' using errcode = '42501';
  end if;
  return tenant::uuid;
end $$;
