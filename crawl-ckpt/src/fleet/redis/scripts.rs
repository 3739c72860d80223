//! What the engine does in one step, in Lua. Each may come twice. Scripts and no functions: two versions
//! of a library of those would overwrite each other.

/// KEYS: state, bases of even and of odd numbers. ARGV: worker, epoch and beat that did not change (or nothing).
/// What there is of a base that was not finished goes.
pub const CLAIM: &str = r"
local o = redis.call('HMGET', KEYS[1], 'owner', 'epoch', 'beat', 'seq', 'sum', 'based', 'base')
local owner, epoch, beat = o[1] or '', o[2] or '0', o[3] or '0'
local still = ARGV[2] ~= '' and epoch == ARGV[2] and beat == ARGV[3]
if owner ~= '' and owner ~= ARGV[1] and not still then return {} end
redis.call('HSET', KEYS[1], 'owner', ARGV[1])
redis.call('HINCRBY', KEYS[1], 'beat', 1)
if redis.call('HEXISTS', KEYS[1], 'built') == 1 then
  redis.call('UNLINK', KEYS[2 + (tonumber(o[6] or '0') + 1) % 2])
  redis.call('HDEL', KEYS[1], 'built', 'built_sum')
end
return {redis.call('HINCRBY', KEYS[1], 'epoch', 1), tonumber(o[4] or '0'), o[5] or '', o[7] or ''}";

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
redis.call('XADD', KEYS[2], ARGV[2] .. '-' .. ARGV[1], 'b', ARGV[5])
redis.call('HSET', KEYS[1], 'seq', ARGV[2], 'sum', ARGV[3], 'done', ARGV[8], 'failed', ARGV[9], 'pending', ARGV[10])
redis.call('HINCRBY', KEYS[1], 'beat', 1)
if ARGV[6] ~= '' then redis.call('HSET', KEYS[3], ARGV[6], ARGV[7]) end
return 'durable'";

/// KEYS: state, inbox, senders. ARGV: of each letter its sender, number, content. What was taken for good is not put
/// there again.
pub const SEND: &str = r"
for i = 1, #ARGV, 3 do
  local of, n = ARGV[i], tonumber(ARGV[i + 1])
  if n > tonumber(redis.call('HGET', KEYS[1], 'from:' .. of) or '0') then
    redis.call('HSET', KEYS[2], of .. ':' .. ARGV[i + 1], ARGV[i + 2])
    if n > tonumber(redis.call('HGET', KEYS[3], of) or '0') then redis.call('HSET', KEYS[3], of, ARGV[i + 1]) end
  end
end
return 1";

/// KEYS: state, the next base. ARGV: epoch, its number, seq, sum, sum before, batch. The first batch begins it anew.
pub const BUILD: &str = r"
local o = redis.call('HMGET', KEYS[1], 'epoch', 'based', 'built', 'built_sum')
if o[1] ~= ARGV[1] then return 'fenced' end
if tonumber(o[2] or '0') + 1 ~= tonumber(ARGV[2]) then return 'gap' end
if o[3] == ARGV[3] and o[4] == ARGV[4] then
  redis.call('HINCRBY', KEYS[1], 'looks', 1)
  return 'durable'
end
if ARGV[3] == '1' then
  redis.call('UNLINK', KEYS[2])
elseif tonumber(o[3] or '0') + 1 ~= tonumber(ARGV[3]) or o[4] ~= ARGV[5] then
  return 'gap'
end
redis.call('XADD', KEYS[2], ARGV[3] .. '-' .. ARGV[1], 'b', ARGV[6])
redis.call('HSET', KEYS[1], 'built', ARGV[3], 'built_sum', ARGV[4])
return 'durable'";

/// KEYS: state, the next base, the one in force, log. ARGV: epoch, the next one's number, its batches, sum of the
/// last, what is told of it, and the seq that it stands for: that batch stays, since its commit is looked at.
pub const SWITCH: &str = r"
local o = redis.call('HMGET', KEYS[1], 'epoch', 'based', 'built', 'built_sum', 'base', 'seq')
if o[1] ~= ARGV[1] then return 'fenced' end
if o[2] == ARGV[2] and o[5] == ARGV[5] then
  redis.call('HINCRBY', KEYS[1], 'looks', 1)
  return 'durable'
end
if tonumber(o[2] or '0') + 1 ~= tonumber(ARGV[2]) or o[3] ~= ARGV[3] or o[4] ~= ARGV[4]
  or redis.call('XLEN', KEYS[2]) ~= tonumber(ARGV[3]) or tonumber(o[6] or '0') < tonumber(ARGV[6]) then
  return 'gap'
end
redis.call('HSET', KEYS[1], 'based', ARGV[2], 'base', ARGV[5])
redis.call('HDEL', KEYS[1], 'built', 'built_sum')
redis.call('UNLINK', KEYS[3])
redis.call('XTRIM', KEYS[4], 'MINID', ARGV[6])
return 'durable'";

/// KEYS: state, inbox, senders. ARGV: epoch, how many letters and bytes at most, senders and what was read of each.
/// Of each sender as far as no letter is missing. Where a letter lies is told by its number alone, not by when
/// it came: what a failover took back, and what is sent again, are the same letters at the same place.
pub const POLL: &str = r"
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return false end
redis.call('HINCRBY', KEYS[1], 'beat', 1)
local most, room, read, out = tonumber(ARGV[2]) * 3, tonumber(ARGV[3]), {}, {}
for i = 4, #ARGV, 2 do read[ARGV[i]] = tonumber(ARGV[i + 1]) end
local senders = redis.call('HGETALL', KEYS[3])
for i = 1, #senders, 2 do
  local of = senders[i]
  local n = read[of] or 0
  n = math.max(n, tonumber(redis.call('HGET', KEYS[1], 'from:' .. of) or '0'))
  while n < tonumber(senders[i + 1]) and #out < most and room > 0 do
    n = n + 1
    local letter = redis.call('HGET', KEYS[2], of .. ':' .. n)
    if not letter then break end
    out[#out + 1], out[#out + 2], out[#out + 3] = of, tostring(n), letter
    room = room - #letter
  end
end
return out";

/// KEYS: state. Writes, so that a wait for copies covers what it read.
pub const LOOK: &str = r"
redis.call('HINCRBY', KEYS[1], 'looks', 1)
return redis.call('HMGET', KEYS[1], 'owner', 'epoch', 'beat', 'seq', 'rest_seq', 'rest', 'done', 'failed', 'pending')";

/// KEYS: state. ARGV: fields that tell of senders. Writes, for the same reason.
pub const TAKEN: &str = r"
redis.call('HINCRBY', KEYS[1], 'looks', 1)
return redis.call('HMGET', KEYS[1], unpack(ARGV))";

/// KEYS: state, inbox, senders. ARGV: epoch, why it rests and as of which batch (or nothing), senders and their
/// last letters that are durable here, which leave the inbox.
pub const REPORT: &str = r"
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return 0 end
if ARGV[2] ~= '' then redis.call('HSET', KEYS[1], 'rest', ARGV[2], 'rest_seq', ARGV[3]) end
for i = 4, #ARGV, 2 do
  local of, last = ARGV[i], tonumber(ARGV[i + 1])
  local n = tonumber(redis.call('HGET', KEYS[1], 'from:' .. of) or '0')
  if n < last then
    redis.call('HSET', KEYS[1], 'from:' .. of, ARGV[i + 1])
    while n < last do
      n = n + 1
      redis.call('HDEL', KEYS[2], of .. ':' .. n)
    end
  end
  if last >= tonumber(redis.call('HGET', KEYS[3], of) or '0') then redis.call('HDEL', KEYS[3], of) end
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
pub const ALL: [&str; 15] = [
    CLAIM, OPEN, RELEASE, COMMIT, SEND, BUILD, SWITCH, POLL, LOOK, TAKEN, REPORT, PAUSE, RESUME,
    REOPEN, DROP,
];
