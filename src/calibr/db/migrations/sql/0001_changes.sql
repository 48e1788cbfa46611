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
  error text,
  correlation_id uuid not null,
  cursor_price_list_id uuid,          -- the apply run has claimed every item up to here once
  cursor_product_id uuid,
  counts jsonb not null default '{}', -- items per state, kept by the apply run
  lease_until timestamptz,
  fence bigint not null default 0,
  primary key (tenant_id, id),
  foreign key (tenant_id, created_by) references calibr.app_user(tenant_id, id),
  foreign key (tenant_id, rollback_of) references calibr.price_change(tenant_id, id),
  constraint four_eyes check (approved_by is null or approved_by <> created_by),
  constraint approval_is_of_this_plan check (approved_root is null or approved_root = plan_root),
  constraint applied_only_when_approved check (
    state not in ('approved', 'applying', 'paused', 'aborting', 'applied', 'partially_applied', 'aborted')
    or (approved_by is not null and approved_root is not null and plan_root is not null)));
call sec.wall('calibr.price_change');
create index price_change_state on calibr.price_change(tenant_id, state, id);
create index price_change_rollback on calibr.price_change(tenant_id, rollback_of) where rollback_of is not null;
grant select, insert, update on calibr.price_change to calibr_app, calibr_worker;

create table calibr.price_change_item(
  tenant_id uuid not null,
  change_id uuid not null,
  price_list_id uuid not null,
  product_id uuid not null,
  currency text not null,
  before_amount bigint,
  before_compare_at bigint,
  after_amount bigint,
  after_compare_at bigint,
  verdict text not null,
  reason text,
  binding text,
  violated text,
  trace bigint[] not null,
  state text not null,
  attempt int not null default 0,
  fence bigint,
  lease_until timestamptz,
  sent_at timestamptz,
  next_at timestamptz,
  observed_amount bigint,
  observed_compare_at bigint,
  observed_at timestamptz,
  last_error text,
  event_id uuid,                      -- of the event that settled the item
  primary key (tenant_id, change_id, price_list_id, product_id));
call sec.wall('calibr.price_change_item');
create unique index item_one_writer on calibr.price_change_item(tenant_id, price_list_id, product_id)
  where state in ('claimed', 'sending', 'unknown', 'retry_wait');
create index item_open on calibr.price_change_item(tenant_id, change_id, price_list_id, product_id)
  where state in ('claimed', 'sending', 'unknown', 'retry_wait');
create index item_notable on calibr.price_change_item(tenant_id, change_id, verdict, price_list_id, product_id)
  where verdict in ('blocked', 'clamped');
create index item_failed on calibr.price_change_item(tenant_id, change_id, state, price_list_id, product_id)
  where state in ('drifted', 'rejected', 'noop');
grant select, insert, delete on calibr.price_change_item to calibr_app, calibr_worker;
grant update (state, attempt, fence, lease_until, sent_at, next_at, observed_amount, observed_compare_at, observed_at,
              last_error, event_id) on calibr.price_change_item to calibr_app, calibr_worker;
