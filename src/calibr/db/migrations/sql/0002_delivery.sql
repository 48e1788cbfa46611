-- Ordered delivery: who gets events, how far each lane is, what was parked, and what was taken in already.
-- The outbox is a cursor over the event log, never a copy of it: nothing is deleted, so nothing bloats and a replay is a
-- smaller position.

-- Events of one aggregate share a lane, and a lane is worked on by one worker at a time: that is the whole order guarantee.
-- Virtual, so that an append does not pay for it. A subscription with n lanes takes `lane % n`; n divides 64.
alter table calibr.event add column lane smallint
  generated always as ((hashtextextended(aggregate_type || chr(31) || aggregate_id, 0) & 63)::smallint) virtual;

create table calibr.subscription(
  tenant_id uuid not null,
  id uuid not null default uuidv7(),
  kind text not null check (kind in ('projection', 'webhook', 'jetstream')),
  name text not null check (name <> ''),
  event_types text[] not null default '{}',   -- empty means all; `price.*` is a prefix
  lanes smallint not null check (lanes in (1, 2, 4, 8, 16, 32, 64)),
  on_poison text not null check (on_poison in ('block_lane', 'park_key')),
  state text not null default 'active' check (state in ('active', 'paused', 'disabled')),
  reason text,                                 -- why it is not active
  config jsonb not null default '{}',
  sealed jsonb not null default '{}',          -- {name: secret sealed by the vault}
  remote jsonb not null default '{}',          -- what the receiver told of itself, e.g. when its stream was made
  created_by text not null,
  created_at timestamptz not null default now(),
  failing_since timestamptz,                   -- nothing was delivered since then
  primary key (tenant_id, id),
  unique (tenant_id, name));
call sec.wall('calibr.subscription');
grant select, insert, update, delete on calibr.subscription to calibr_app, calibr_worker;

create table calibr.lane(
  tenant_id uuid not null,
  subscription_id uuid not null,
  lane smallint not null,
  pos bigint not null default 0,               -- everything of this lane up to here is delivered, parked or filtered out
  lease_owner text,
  lease_until timestamptz,
  fence bigint not null default 0,
  attempt int not null default 0,              -- failed deliveries of the event after `pos`, in a row
  next_at timestamptz not null default '-infinity',
  last_error text,
  replay_to bigint not null default 0,         -- events up to here are marked as a replay
  released boolean not null default false,     -- parked keys are to be delivered again
  primary key (tenant_id, subscription_id, lane),
  foreign key (tenant_id, subscription_id) references calibr.subscription(tenant_id, id) on delete cascade);
call sec.wall('calibr.lane');
grant select, insert, update, delete on calibr.lane to calibr_app, calibr_worker;

-- What could not be delivered. While a key has an open row here, its later events join it: order is kept.
create table calibr.dead_letter(
  tenant_id uuid not null,
  subscription_id uuid not null,
  seq bigint not null,
  event_id uuid not null,
  lane smallint not null,
  aggregate_type text not null,
  aggregate_id text not null,
  type text not null,
  reason text not null,
  attempts int not null,
  state text not null default 'parked' check (state in ('parked', 'released', 'delivered', 'discarded')),
  parked_at timestamptz not null default clock_timestamp(),
  resolved_at timestamptz,
  primary key (tenant_id, subscription_id, seq),
  foreign key (tenant_id, subscription_id) references calibr.subscription(tenant_id, id) on delete cascade);
call sec.wall('calibr.dead_letter');
create index dead_letter_open on calibr.dead_letter(tenant_id, subscription_id, lane, seq) where resolved_at is null;
grant select, insert, update, delete on calibr.dead_letter to calibr_app, calibr_worker;

-- The first occurrence of an event at a consumer, in the transaction of its effect: a second one has no effect.
create table calibr.inbox(
  tenant_id uuid not null,
  consumer text not null,
  message_id uuid not null,
  received_at timestamptz not null default now(),
  primary key (tenant_id, consumer, message_id));
call sec.wall('calibr.inbox');
grant select, insert, delete on calibr.inbox to calibr_app, calibr_worker;

-- A projection that every tenant has: how much happened, per day and type.
create table calibr.event_activity(
  tenant_id uuid not null,
  day date not null,
  type text not null,
  events bigint not null,
  primary key (tenant_id, day, type));
call sec.wall('calibr.event_activity');
grant select, insert, update, delete on calibr.event_activity to calibr_app, calibr_worker;

-- The log under the column names that Debezium's outbox event router expects.
create view calibr.outbox with (security_invoker = true, security_barrier = true) as
  select event_id as id, tenant_id, seq, aggregate_type as aggregatetype, aggregate_id as aggregateid, type,
         convert_from(body, 'UTF8')::jsonb as payload, at as timestamp
  from calibr.event;
grant select on calibr.outbox to calibr_app, calibr_worker;
