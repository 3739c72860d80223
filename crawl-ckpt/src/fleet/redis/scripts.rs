//! What the engine does in one step, in Lua. Each may come twice. Scripts and no functions: two versions
//! of a library of those would overwrite each other.

/// KEYS: state. ARGV: worker, epoch and beat that did not change (or nothing).
pub const CLAIM: &str = r"
local o = redis.call('HMGET', KEYS[1], 'owner', 'epoch', 'beat', 'seq', 'sum')
local owner, epoch, beat = o[1] or '', o[2] or '0', o[3] or '0'
local still = ARGV[2] ~= '' and epoch == ARGV[2] and beat == ARGV[3]
if owner ~= '' and owner ~= ARGV[1] and not still then return {} end
redis.call('HSET', KEYS[1], 'owner', ARGV[1])
redis.call('HINCRBY', KEYS[1], 'beat', 1)
return {redis.call('HINCRBY', KEYS[1], 'epoch', 1), tonumber(o[4] or '0'), o[5] or ''}";

/// KEYS: what a crawl began with, looks. ARGV: the same. Always writes, so that a wait for copies covers it.
pub const OPEN: &str = r"
redis.call('INCR', KEYS[2])
redis.call('SET', KEYS[1], ARGV[1], 'NX')
return redis.call('GET', KEYS[1])";

/// KEYS: state. ARGV: epoch.
pub const RELEASE: &str = r"
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'owner', '')
return 1";

/// KEYS: state, log, outputs. ARGV: epoch, seq, sum, sum before, batch, output's name, its length,
/// URLs done, failed, pending. A batch that is there already is answered with a write too: a wait for copies covers only what its connection wrote.
pub const COMMIT: &str = r"
local o = redis.call('HMGET', KEYS[1], 'epoch', 'seq', 'sum')
if o[1] ~= ARGV[1] then return 'fenced' end
local seq = o[2] or '0'
if seq == ARGV[2] and o[3] == ARGV[3] then
  redis.call('HINCRBY', KEYS[1], 'beat', 1)
  return 'durable'
end
if tonumber(seq) + 1 ~= tonumber(ARGV[2]) or (o[3] and o[3] ~= ARGV[4]) then return 'gap' end
redis.call('XADD', KEYS[2], ARGV[2] .. '-' .. ARGV[1], 'b', ARGV[5], 'o', ARGV[6])
redis.call('HSET', KEYS[1], 'seq', ARGV[2], 'sum', ARGV[3], 'done', ARGV[8], 'failed', ARGV[9], 'pending', ARGV[10])
redis.call('HINCRBY', KEYS[1], 'beat', 1)
if ARGV[6] ~= '' then redis.call('HSET', KEYS[3], ARGV[6], ARGV[7]) end
return 'durable'";

/// KEYS: state, inbox. ARGV: epoch, place behind which to read, how many.
pub const POLL: &str = r"
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return false end
redis.call('HINCRBY', KEYS[1], 'beat', 1)
return redis.call('XRANGE', KEYS[2], '(' .. ARGV[2], '+', 'COUNT', ARGV[3])";

/// KEYS: state. Writes, so that a wait for copies covers what it read.
pub const LOOK: &str = r"
redis.call('HINCRBY', KEYS[1], 'looks', 1)
return redis.call('HMGET', KEYS[1], 'owner', 'epoch', 'beat', 'seq', 'rest_seq', 'rest', 'done', 'failed', 'pending')";

/// KEYS: state. ARGV: sender. Writes, for the same reason.
pub const TAKEN: &str = r"
redis.call('HINCRBY', KEYS[1], 'looks', 1)
return redis.call('HGET', KEYS[1], 'from:' .. ARGV[1])";

/// KEYS: state, inbox. ARGV: epoch, read to, names and values.
pub const REPORT: &str = r"
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return 0 end
for i = 3, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
if ARGV[2] ~= '' then
    redis.call('XTRIM', KEYS[2], 'MINID', ARGV[2])
    redis.call('XDEL', KEYS[2], ARGV[2])
end
return 1";

/// KEYS: state of a crawl, looks. A crawl that is over stays so.
pub const PAUSE: &str = r"
redis.call('INCR', KEYS[2])
local state = redis.call('GET', KEYS[1])
if state and state ~= 'paused' then return state end
redis.call('SET', KEYS[1], 'paused')
return 'paused'";

/// KEYS: state of a crawl, looks.
pub const RESUME: &str = r"
redis.call('INCR', KEYS[2])
local state = redis.call('GET', KEYS[1])
if state == 'paused' then redis.call('DEL', KEYS[1]) return '' end
return state or ''";

/// KEYS: state of a crawl, looks.
pub const REOPEN: &str = r"
redis.call('INCR', KEYS[2])
if redis.call('GET', KEYS[1]) == 'complete' then redis.call('SET', KEYS[1], 'paused') end
return redis.call('GET', KEYS[1]) or ''";

/// KEYS: what is to go. ARGV: what it must hold.
pub const DROP: &str = r"
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1";

/// All of them.
pub const ALL: [&str; 12] = [
    CLAIM, OPEN, RELEASE, COMMIT, POLL, LOOK, TAKEN, REPORT, PAUSE, RESUME, REOPEN, DROP,
];
