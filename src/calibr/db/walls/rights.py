"""Roles, owners and grants: nobody who works for a tenant can become somebody above the walls, or got more than rows.

Each check, after the prelude, is a query that returns one sentence per hole.
"""

PRELUDE = """
  with schemas as (select oid, nspname from pg_namespace where nspname in ('calibr', 'sec'))
"""

_OWNERS = """
  , owned(name, owner) as (
    select oid::regclass::text, relowner from pg_class
    where relnamespace in (select oid from schemas) and relkind <> 'i'
    union all select oid::regprocedure::text, proowner from pg_proc where pronamespace in (select oid from schemas)
    union all select nspname::text, nspowner from pg_namespace where nspname in ('calibr', 'sec'))
  select format('%s belongs to %s', name, owner::regrole) from owned where owner <> 'calibr_owner'::regrole
"""

_ABOVE_THE_WALLS = """
  select format('%s can become %s, who stands above the walls', worker.rolname, r.rolname)
  from pg_roles worker join pg_roles r on pg_has_role(worker.oid, r.oid, 'MEMBER')
  where worker.rolname in ('calibr_app', 'calibr_worker')
    and (r.rolsuper or r.rolbypassrls or r.rolcreaterole or r.rolreplication
         or exists (select from pg_class c where c.relowner = r.oid and c.relnamespace in (select oid from schemas)))
  union all
  select format('%s may bypass row-level security', rolname)
  from pg_roles where rolname in ('calibr_owner', 'calibr_migrate') and (rolsuper or rolbypassrls)
"""

_CREATE = """
  select format('%s may create objects in %s', worker.rolname, n.nspname)
  from pg_roles worker cross join pg_namespace n
  where worker.rolname in ('calibr_app', 'calibr_worker') and n.nspname !~ '^pg_(toast|temp)'
    and has_schema_privilege(worker.oid, n.oid, 'CREATE')
  union all
  select format('%s may create schemas in the database', rolname)
  from pg_roles
  where rolname in ('calibr_app', 'calibr_worker') and has_database_privilege(oid, current_database(), 'CREATE')
  union all
  select 'everybody may connect to the database'
  from pg_database d cross join aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) granted
  where d.datname = current_database() and granted.grantee = 0
"""

_GRANTS = """
  , granted(name, owner, grantee, privilege, is_grantable) as (
    select c.oid::regclass::text, c.relowner, a.grantee, a.privilege_type, a.is_grantable
    from pg_class c cross join aclexplode(c.relacl) a where c.relnamespace in (select oid from schemas)
    union all
    select format('%s.%s', c.oid::regclass, t.attname), c.relowner, a.grantee, a.privilege_type, a.is_grantable
    from pg_class c join pg_attribute t on t.attrelid = c.oid cross join aclexplode(t.attacl) a
    where c.relnamespace in (select oid from schemas))
  select format('%s may %s %s', coalesce(r.rolname, 'everybody'), lower(g.privilege), g.name)
  from granted g left join pg_roles r on r.oid = g.grantee
  where g.grantee <> g.owner
    and (r.rolname is null or r.rolname not in ('calibr_app', 'calibr_worker') or g.is_grantable
         or g.privilege not in ('SELECT', 'INSERT', 'UPDATE', 'DELETE'))
"""

# What nobody may do although the walls would let him: rewrite the log, read the key, list the tenants as a request.
_FORBIDDEN = """
  , rule(role, privilege, relation) as (values
    ('calibr_app', 'UPDATE', 'calibr.event'), ('calibr_app', 'DELETE', 'calibr.event'),
    ('calibr_worker', 'UPDATE', 'calibr.event'), ('calibr_worker', 'DELETE', 'calibr.event'),
    ('calibr_app', 'SELECT', 'calibr.tenant_directory'),
    ('calibr_app', 'UPDATE', 'calibr.tenant_directory'), ('calibr_worker', 'UPDATE', 'calibr.tenant_directory'),
    ('calibr_app', 'DELETE', 'calibr.tenant_directory'), ('calibr_worker', 'DELETE', 'calibr.tenant_directory'))
  select format('%s may %s %s', role, lower(privilege), relation)
  from rule
  where has_table_privilege(role, relation, privilege)
     or (privilege <> 'DELETE' and has_any_column_privilege(role, relation, nullif(privilege, 'DELETE')))
  union all
  select format('%s may touch %s', r.rolname, c.oid::regclass)
  from pg_class c cross join aclexplode(c.relacl) a join pg_roles r on r.oid = a.grantee
  where c.oid in ('sec.key'::regclass, 'calibr.alembic_version'::regclass) and a.grantee <> c.relowner
"""

_SCHEMA_GRANTS = """
  select format('%s has %s on the schema %s', coalesce(r.rolname, 'everybody'), lower(a.privilege_type), n.nspname)
  from pg_namespace n cross join aclexplode(n.nspacl) a left join pg_roles r on r.oid = a.grantee
  where n.nspname in ('calibr', 'sec') and a.grantee <> n.nspowner
    and (r.rolname is null or r.rolname not in ('calibr_app', 'calibr_worker') or a.privilege_type <> 'USAGE')
"""

CHECKS = (_OWNERS, _ABOVE_THE_WALLS, _CREATE, _GRANTS, _FORBIDDEN, _SCHEMA_GRANTS)
