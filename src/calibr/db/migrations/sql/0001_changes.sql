-- PriceChange and its items. The allowed transitions stand in calibr.changes.lifecycle; the tables below mirror them and a test
-- compares the two, so that no code path and no hand-written UPDATE can take a step that the state machine does not know.

create table calibr.price_change(
  tenant_id uuid not null,
  id uuid not null default uuidv7(),
  revision int not null default 1,
  name text not null check (name <> ''),
  state text not null default 'draft',
  selector_json text not null,        -- RFC 8785 text, as hashed
  transform_json text not null,
  guardrails_json text not null,
  price_list_ids uuid[] not null,
  rule_hash text not null,
  engine text,
  computed_at timestamptz,
  plan_root text,
  summary jsonb,
  rollback_of uuid,
  created_by uuid not null,
  editors uuid[] not null default '{}', -- who has edited it besides its author
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  submitted_by uuid,
  submitted_at timestamptz,
  approved_by uuid,
  approved_root text,
  approved_at timestamptz,
  applied_by uuid,
  apply_started_at timestamptz,
  finished_at timestamptz,
  reason text,                        -- why a person rejected or cancelled it
  error jsonb,                        -- {code, message, faults}: why the last preview failed or the apply run stopped
  correlation_id uuid not null,
  cursor_price_list_id uuid,          -- the apply run has claimed every item up to here once
  cursor_product_id uuid,
  counts jsonb not null default '{}', -- items per state; each transaction that moves items moves these too
  lease_until timestamptz,            -- the worker that owns the preview or the apply run, until then
  fence bigint not null default 0,    -- of that worker; a write with an older one is void
  primary key (tenant_id, id),
  foreign key (tenant_id, created_by) references calibr.app_user(tenant_id, id),
  foreign key (tenant_id, rollback_of) references calibr.price_change(tenant_id, id),
  constraint four_eyes check (approved_by is null or (approved_by <> created_by and approved_by <> all(editors))),
  constraint approval_is_of_this_plan check (approved_root is null or approved_root is not distinct from plan_root),
  constraint applied_only_when_approved check (
    state not in ('approved', 'applying', 'paused', 'aborting', 'applied', 'partially_applied', 'aborted', 'failed')
    or (approved_by is not null and approved_root is not null and plan_root is not null)));
call sec.wall('calibr.price_change');
create index price_change_state on calibr.price_change(tenant_id, state, id);
create index price_change_rollback on calibr.price_change(tenant_id, rollback_of) where rollback_of is not null;
grant select, insert, update on calibr.price_change to calibr_app, calibr_worker;

create function calibr.price_change_may(source text, target text) returns boolean
  language sql immutable set search_path = pg_catalog, pg_temp
as $$ select (source, target) in (
  ('draft', 'previewing'), ('previewed', 'previewing'),
  ('previewing', 'previewed'),
  ('previewing', 'draft'), ('previewed', 'draft'), ('submitted', 'draft'), ('approved', 'draft'),
  ('previewed', 'submitted'),
  ('submitted', 'approved'), ('submitted', 'rejected'),
  ('submitted', 'expired'), ('approved', 'expired'),
  ('draft', 'cancelled'), ('previewing', 'cancelled'), ('previewed', 'cancelled'), ('submitted', 'cancelled'),
  ('approved', 'cancelled'),
  ('approved', 'applying'), ('applying', 'paused'), ('paused', 'applying'),
  ('applying', 'aborting'), ('paused', 'aborting'), ('aborting', 'aborted'),
  ('applying', 'applied'), ('applying', 'partially_applied'), ('applying', 'failed')) $$;
revoke all on function calibr.price_change_may(text, text) from public;
grant execute on function calibr.price_change_may(text, text) to calibr_app, calibr_worker;

-- What no code path may do: begin elsewhere than in draft, take a step that is not allowed, change a document without a new
-- revision, change the sealed root other than by a finished preview, approve other than by the step that approves.
create function calibr.guard_price_change() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
  steps boolean;
begin
  if tg_op = 'INSERT' then
    if new.state <> 'draft' or new.plan_root is not null or new.approved_root is not null then
      raise exception 'a price change begins as a draft without a plan, not as %', new.state using errcode = '23514';
    end if;
    return new;
  end if;
  steps := new.state is distinct from old.state;
  if steps and not calibr.price_change_may(old.state, new.state) then
    raise exception 'price change % may not go from % to %', old.id, old.state, new.state using errcode = '23514';
  end if;
  if (new.selector_json, new.transform_json, new.guardrails_json, new.price_list_ids, new.rule_hash)
     is distinct from (old.selector_json, old.transform_json, old.guardrails_json, old.price_list_ids, old.rule_hash)
     and not (new.revision = old.revision + 1 and new.state = 'draft') then
    raise exception 'the rules of price change % change only with a new revision in draft', old.id using errcode = '23514';
  end if;
  if new.plan_root is distinct from old.plan_root
     and not (old.state = 'previewing' and new.state = 'previewed' or new.plan_root is null and new.state in ('draft', 'previewing')) then
    raise exception 'the plan of price change % is sealed', old.id using errcode = '23514';
  end if;
  if (new.approved_by, new.approved_root) is distinct from (old.approved_by, old.approved_root)
     and not (old.state = 'submitted' and new.state = 'approved' or new.approved_root is null and new.state = 'draft') then
    raise exception 'price change % is approved only by its approval', old.id using errcode = '23514';
  end if;
  if (new.created_by, new.rollback_of, new.tenant_id, new.id)
     is distinct from (old.created_by, old.rollback_of, old.tenant_id, old.id) or not new.editors @> old.editors then
    raise exception 'author, editors and origin of price change % are fixed', old.id using errcode = '23514';
  end if;
  return new;
end $$;
revoke all on function calibr.guard_price_change() from public;
create trigger price_change_guard before insert or update on calibr.price_change
  for each row execute function calibr.guard_price_change();

-- One change at a time writes to a store, from its start to its end, pauses included.
create table calibr.store_writer(
  tenant_id uuid not null,
  connection_id uuid not null,
  change_id uuid not null,
  since timestamptz not null default now(),
  primary key (tenant_id, connection_id),
  foreign key (tenant_id, connection_id) references calibr.connection(tenant_id, id),
  foreign key (tenant_id, change_id) references calibr.price_change(tenant_id, id));
call sec.wall('calibr.store_writer');
create index store_writer_change on calibr.store_writer(tenant_id, change_id);
grant select, insert, delete on calibr.store_writer to calibr_app, calibr_worker;

-- No foreign keys: a preview writes a million rows in one statement, only from rows that exist, and nothing is ever deleted
-- from the tables that it names.
create table calibr.price_change_item(
  tenant_id uuid not null,
  change_id uuid not null,
  price_list_id uuid not null,
  product_id uuid not null,
  before_amount bigint,
  before_compare_at bigint,
  after_amount bigint,
  after_compare_at bigint,
  observed_amount bigint,
  observed_compare_at bigint,
  fence bigint,
  lease_until timestamptz,
  sent_at timestamptz,
  next_at timestamptz,
  observed_at timestamptz,
  event_id uuid,                      -- of the event that settled the item
  attempt int not null default 0,
  currency text not null,
  verdict text not null,
  state text not null,
  reason text,
  binding text,
  violated text,
  trace bigint[] not null,
  last_error text,
  primary key (tenant_id, change_id, price_list_id, product_id),
  -- What the rules blocked or left unchanged is skipped for good; the rest begins as pending, because only a claim gives a fence.
  constraint only_changes_are_written check (
    case when verdict = 'changed' or verdict = 'clamped'
         then state = 'pending' or fence is not null and state <> 'skipped' or state = 'cancelled'
         else state = 'skipped' end));
call sec.wall('calibr.price_change_item');
-- The null tests say nothing new: they decide for the rows of a preview, a million at a time, before a text is compared;
-- and OR is cheaper than IN for few values.
-- One writer per price; also finds what an apply run has in flight.
create unique index item_one_writer on calibr.price_change_item(tenant_id, price_list_id, product_id)
  where fence is not null and state in ('claimed', 'sending', 'unknown', 'retry_wait');
create index item_notable on calibr.price_change_item(tenant_id, change_id, verdict, price_list_id, product_id)
  where verdict = 'blocked' or verdict = 'clamped';
create index item_failed on calibr.price_change_item(tenant_id, change_id, state, price_list_id, product_id)
  where event_id is not null and state in ('drifted', 'rejected', 'noop');
grant select, delete on calibr.price_change_item to calibr_app, calibr_worker;
grant insert (tenant_id, change_id, price_list_id, product_id, currency, before_amount, before_compare_at, after_amount,
              after_compare_at, verdict, state, reason, binding, violated, trace)
  on calibr.price_change_item to calibr_app, calibr_worker;
-- What is sealed cannot be changed: these are all the columns that an apply run may write.
grant update (state, attempt, fence, lease_until, sent_at, next_at, observed_amount, observed_compare_at, observed_at,
              last_error, event_id) on calibr.price_change_item to calibr_app, calibr_worker;

create function calibr.price_change_item_may(source text, target text) returns boolean
  language sql immutable set search_path = pg_catalog, pg_temp
as $$ select (source, target) in (
  ('pending', 'claimed'), ('pending', 'cancelled'),
  ('claimed', 'sending'), ('claimed', 'noop'), ('claimed', 'drifted'), ('claimed', 'rejected'),
  ('claimed', 'retry_wait'), ('claimed', 'cancelled'),
  ('sending', 'applied'), ('sending', 'rejected'), ('sending', 'drifted'), ('sending', 'unknown'), ('sending', 'retry_wait'),
  ('unknown', 'applied'), ('unknown', 'claimed'), ('unknown', 'drifted'), ('unknown', 'rejected'), ('unknown', 'cancelled'),
  ('retry_wait', 'claimed'), ('retry_wait', 'cancelled')) $$;
revoke all on function calibr.price_change_item_may(text, text) from public;
grant execute on function calibr.price_change_item_may(text, text) to calibr_app, calibr_worker;

create function calibr.guard_item_step() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
  if not calibr.price_change_item_may(old.state, new.state) then
    raise exception 'item % of price change % may not go from % to %', old.product_id, old.change_id, old.state, new.state
      using errcode = '23514';
  end if;
  return new;
end $$;
revoke all on function calibr.guard_item_step() from public;
create trigger item_step before update on calibr.price_change_item
  for each row when (old.state is distinct from new.state) execute function calibr.guard_item_step();

-- To a plan that stands no item is added and from it none is deleted; an unfinished preview may do both. One check per
-- statement, not per row: a plan has a million.
create function calibr.guard_sealed_items() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
  sealed uuid;
begin
  select c.id into sealed
  from (select distinct m.tenant_id, m.change_id from moved m) m
  join calibr.price_change c on c.tenant_id = m.tenant_id and c.id = m.change_id
  where c.plan_root is not null limit 1;
  if found then
    raise exception 'the items of price change % are sealed', sealed using errcode = '23514';
  end if;
  return null;
end $$;
revoke all on function calibr.guard_sealed_items() from public;
create trigger item_delete after delete on calibr.price_change_item
  referencing old table as moved for each statement execute function calibr.guard_sealed_items();
create trigger item_insert after insert on calibr.price_change_item
  referencing new table as moved for each statement execute function calibr.guard_sealed_items();
