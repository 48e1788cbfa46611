"""Functions: none vouches for itself, few run as their owner, none is open to everybody.

Each check, after the prelude, is a query that returns one sentence per hole.
"""

PRELUDE = """
  with ours as (
    select p.*, n.nspname || '.' || p.proname as name
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname in ('calibr', 'sec'))
"""

_LEAKPROOF = "select format('the function %s is marked leakproof', name) from ours where proleakproof"

# The two that read the key, and the one that takes statistics.
_DEFINERS = """
  select format('the function %s runs as its owner and is not known', name)
  from ours where prosecdef and name not in ('sec.mac', 'sec.tenant', 'calibr.refresh_statistics')
"""

# Where pg_temp is not named, its types and tables come first: `tenant::uuid` would be a domain that a session made.
_SEARCH_PATH = """
  select format('the function %s does not fix search_path', name)
  from ours where not coalesce(proconfig, '{}') @> array['search_path=pg_catalog, pg_temp']
"""

# A folded constant would outlive the tenant that it was computed for.
_IMMUTABLE = """
  select format('the function %s reads the session but is marked immutable', name)
  from ours where name like 'sec.%' and provolatile = 'i'
"""

_EXECUTE = """
  select format('the function %s may be executed by %s', name, coalesce(r.rolname, 'everybody'))
  from ours cross join aclexplode(coalesce(proacl, acldefault('f', proowner))) granted
  left join pg_roles r on r.oid = granted.grantee
  where granted.grantee <> proowner
    and (r.rolname is null or r.rolname not in ('calibr_app', 'calibr_worker')
         or granted.is_grantable or name in ('sec.mac', 'sec.wall'))
"""

CHECKS = (_LEAKPROOF, _DEFINERS, _SEARCH_PATH, _IMMUTABLE, _EXECUTE)
