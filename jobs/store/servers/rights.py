"""What a user of Redis must be allowed to do for mlxq and RQ."""

from collections.abc import Sequence

ACL_RULES = (
    "~rq:* ~mlxq:* &rq:* &mlxq:* "
    "+@read +@write +@pubsub +@scripting +@connection +@transaction -@dangerous +info +time +client|list"
)
"""For ACL SETUSER, besides the name and the password."""

MOST_NAMED = 3
"""Missing commands that an error names."""

_KEYS = ("rq:probe", "mlxq:probe")

_OF_A_KEY = (
    "blpop {} 1",
    "copy {} {}",
    "del {}",
    "exists {}",
    "expire {} 1",
    "get {}",
    "hdel {} a",
    "hexists {} a",
    "hget {} a",
    "hgetall {}",
    "hincrby {} a 1",
    "hincrbyfloat {} a 1",
    "hlen {}",
    "hmget {} a",
    "hset {} a 1",
    "hstrlen {} a",
    "incrby {} 1",
    "llen {}",
    "lindex {} 0",
    "lpop {}",
    "lpos {} a",
    "lpush {} a",
    "lrange {} 0 1",
    "lrem {} 0 a",
    "mget {}",
    "object encoding {}",
    "persist {}",
    "pexpire {} 1",
    "rename {} {}",
    "rpop {}",
    "rpush {} a",
    "sadd {} a",
    "scard {}",
    "set {} a",
    "sismember {} a",
    "smembers {}",
    "srandmember {} 1",
    "srem {} a",
    "ttl {}",
    "type {}",
    "unlink {}",
    "watch {}",
    "xadd {} * a 1",
    "xlen {}",
    "xrange {} - +",
    "xrevrange {} + -",
    "zadd {} 1 a",
    "zcard {}",
    "zcount {} 0 1",
    "zrange {} 0 1",
    "zrangebylex {} - + LIMIT 0 1",
    "zrangebyscore {} 0 1",
    "zrem {} a",
    "zremrangebyscore {} 0 1",
    "zrevrange {} 0 1",
    "zscore {} a",
)
_OF_CHANNELS = (
    "publish mlxq:reply:probe a",
    "publish rq:pubsub:probe a",
    "subscribe mlxq:reply:probe rq:pubsub:probe",
)
_OF_NEITHER = ("evalsha a 0", "script load a", "ping", "info", "time", "multi", "exec", "client list")

COMMANDS = (
    *(line.replace("{}", key) for line in _OF_A_KEY for key in _KEYS),
    *_OF_CHANNELS,
    *_OF_NEITHER,
)
"""Each with arguments as mlxq and RQ give them, for lua/rights.lua."""


def named(missing: Sequence[bytes]) -> str:
    """For people: the first commands that are missing, with their keys or channels."""
    found = list(dict.fromkeys(" ".join(line.decode().split()[:2]) for line in missing))
    more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    return ", ".join(found[:MOST_NAMED]) + more
