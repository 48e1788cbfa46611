"""Tables and views: who is walled in, by which policies, and that every key starts with the tenant.

Each check, after the prelude, is a query that returns one sentence per hole.
"""

# Walled are all tables except these: the key, the version of the schema, and the ids of the tenants.
PRELUDE = """
  with ours as (
    select c.*, n.nspname || '.' || c.relname as name,
           n.nspname || '.' || c.relname
             not in ('sec.key', 'calibr.alembic_version', 'calibr.tenant_directory') as walled
    from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname in ('calibr', 'sec')),
  tables as (select * from ours where relkind in ('r', 'p')),
  walled as (
    select t.*, a.attnum as tenant_column
    from tables t left join pg_attribute a on a.attrelid = t.oid and a.attname = 'tenant_id' and not a.attisdropped
    where t.walled)
"""

_KINDS = """
  select format('%s is a %s, which no policy can protect', name,
                case relkind when 'm' then 'materialized view' when 'f' then 'foreign table' else 'sequence' end)
  from ours where relkind in ('m', 'f', 'S')
"""

_TENANT_COLUMN = """
  select format('%s has no tenant_id uuid not null', name)
  from walled w where not exists (
    select from pg_attribute a
    where a.attrelid = w.oid and a.attnum = w.tenant_column and a.atttypid = 'uuid'::regtype and a.attnotnull)
"""

_SECURITY_IS_FORCED = """
  select format('%s does not force row-level security', name)
  from walled where not (relrowsecurity and relforcerowsecurity)
"""

_THE_TWO_POLICIES = """
  , wanted(policy, permissive, roles) as (values
    ('tenant_wall', false, array['public']), ('tenant_rw', true, array['calibr_app', 'calibr_worker'])),
  found as (
    select p.polrelid, p.polname, p.polpermissive,
           (select array_agg(coalesce(r.rolname, 'public')::text order by 1)
            from unnest(p.polroles) granted(id) left join pg_roles r on r.oid = granted.id) as roles
    from pg_policy p
    where p.polcmd = '*'
      and pg_get_expr(p.polqual, p.polrelid) = '(tenant_id = ( SELECT sec.tenant() AS tenant))'
      and pg_get_expr(p.polwithcheck, p.polrelid) = '(tenant_id = ( SELECT sec.tenant() AS tenant))')
  select format('%s lacks the policy %s as it must be', w.name, wanted.policy)
  from walled w cross join wanted
  where not exists (
    select from found f
    where f.polrelid = w.oid
      and (f.polname, f.polpermissive, f.roles) = (wanted.policy, wanted.permissive, wanted.roles))
  union all
  select format('%s has the policy %s, which is not known', t.name, p.polname)
  from tables t join pg_policy p on p.polrelid = t.oid
  where not t.walled or p.polname not in (select policy from wanted)
"""

_INDEXES = """
  select format('the index %s of %s does not start with tenant_id', i.indexrelid::regclass, w.name)
  from walled w join pg_index i on i.indrelid = w.oid
  where i.indkey[0] is distinct from w.tenant_column
"""

_CONSTRAINTS = """
  select format('the constraint %s of %s does not start with tenant_id', c.conname, w.name)
  from walled w join pg_constraint c on c.conrelid = w.oid
  where c.contype in ('p', 'u', 'f', 'x') and c.conkey[1] is distinct from w.tenant_column
  union all
  select format('the foreign key %s of %s does not lead to a tenant_id', c.conname, w.name)
  from walled w join pg_constraint c on c.conrelid = w.oid and c.contype = 'f'
  where not exists (
    select from walled target where target.oid = c.confrelid and target.tenant_column = c.confkey[1])
  union all
  select format('%s has no primary key', t.name)
  from tables t where not exists (select from pg_constraint c where c.conrelid = t.oid and c.contype = 'p')
"""

_VIEWS = """
  select format('the view %s is not security_invoker and security_barrier', name)
  from ours
  where relkind = 'v' and not coalesce(reloptions, '{}') @> array['security_invoker=true', 'security_barrier=true']
"""

_RULES = """
  select format('%s has the rule %s', o.name, r.rulename)
  from ours o join pg_rewrite r on r.ev_class = o.oid
  where not (o.relkind = 'v' and r.rulename = '_RETURN')
"""

_TRIGGERS = """
  select format('the trigger %s of %s is switched off', g.tgname, t.name)
  from tables t join pg_trigger g on g.tgrelid = t.oid
  where g.tgenabled not in ('O', 'A')
"""

# Under row-level security an operator that is not leakproof can never be an index condition. JSON and lists are
# carried, never searched by index; every other column can be filtered by, so its type must compare without leaking.
_LEAKPROOF_TYPES = """
  , leakproof(type) as (
    select am.amoplefttype
    from pg_amop am
    join pg_opclass oc on oc.opcfamily = am.amopfamily and oc.opcintype = am.amoplefttype and oc.opcdefault
    join pg_operator op on op.oid = am.amopopr join pg_proc f on f.oid = op.oprcode
    where am.amopmethod = (select oid from pg_am where amname = 'btree') and am.amoplefttype = am.amoprighttype
    group by am.amoplefttype having bool_and(f.proleakproof)),
  columns as (
    select w.oid as relid, w.name, a.attnum, a.attname, a.atttypid as type
    from walled w join pg_attribute a on a.attrelid = w.oid and a.attnum > 0 and not a.attisdropped)
  select format('%s.%s is of type %s, whose comparison is not leakproof', c.name, c.attname, c.type::regtype)
  from columns c join pg_type t on t.oid = c.type
  where c.type not in (select type from leakproof)
    and not (t.typcategory = 'A' or c.type in ('json'::regtype, 'jsonb'::regtype))
  union all
  select format('the index %s uses %s, whose type has no leakproof comparison', i.indexrelid::regclass, c.attname)
  from columns c join pg_index i on i.indrelid = c.relid and c.attnum = any(i.indkey)
  where c.type not in (select type from leakproof)
"""

CHECKS = (
    _KINDS,
    _TENANT_COLUMN,
    _SECURITY_IS_FORCED,
    _THE_TWO_POLICIES,
    _INDEXES,
    _CONSTRAINTS,
    _VIEWS,
    _RULES,
    _TRIGGERS,
    _LEAKPROOF_TYPES,
)
