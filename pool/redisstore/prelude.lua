-- What all scripts begin with: the clock, the checks, and what has ended.
local meta, owners, held, own, free, ends, data, tomb, sess, sessends, led, ledat, ledmeta = unpack(KEYS)
local a = cjson.decode(ARGV[1])
local FOREVER = 9e13 -- milliseconds: no known end
local call = redis.call

-- tostring would round.
local function ms(n) return string.format('%.0f', n) end

-- number reads a score, which miniredis may write as 9e+13.
local function number(s)
  if not s then return nil end
  local digits, exponent = string.match(s, '^(.+)e%+(%d+)$')
  if digits then return tonumber(digits) * 10 ^ tonumber(exponent) end
  return tonumber(s)
end

local t = call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)

-- A call that was given up may still arrive.
if a.notafter > 0 and now > a.notafter then return {'late', ms(now)} end

local config = call('HGET', meta, 'config')
if config and config ~= a.config then return {'config', ms(now), config} end

local seqkey = a.member and 'seq:' .. a.member
if seqkey and a.seq then
  if a.seq <= tonumber(call('HGET', meta, seqkey) or 0) then return {'repeated', ms(now)} end
end

-- remove forgets a proxy.
local function remove(id)
  local owner = call('HGET', held, id)
  if owner then
    call('HDEL', held, id)
    call('ZREM', own, owner .. ' ' .. id)
  end
  call('ZREM', free, id)
  call('ZREM', ends, id)
  call('HDEL', data, id)
end

-- release puts a proxy that is held back into the stock.
local function release(id, owner)
  call('HDEL', held, id)
  call('ZREM', own, owner .. ' ' .. id)
  local till = call('ZSCORE', ends, id)
  if till and number(till) > now then call('ZADD', free, till, id) else remove(id) end
end

local function hold(id, owner)
  call('ZREM', free, id)
  call('HSET', held, id, owner)
  call('ZADD', own, 0, owner .. ' ' .. id)
end

local function holdings(owner)
  local ids = call('ZRANGEBYLEX', own, '[' .. owner .. ' ', '(' .. owner .. '!')
  for i, s in ipairs(ids) do ids[i] = string.sub(s, #owner + 2) end
  return ids
end

local function forget(owner)
  for _, id in ipairs(holdings(owner)) do release(id, owner) end
  call('ZREM', owners, owner)
  call('HDEL', meta, 'seq:' .. owner)
end

-- anchor keeps keys from vanishing when they are empty: one that is not there was lost.
local function anchor()
  for _, key in ipairs({held, data, sess}) do call('HSET', key, '', '') end
  for _, key in ipairs({owners, ends, tomb, sessends}) do call('ZADD', key, FOREVER * 2, '') end
  call('ZADD', own, 0, '')
  call('ZADD', free, -1, '')
end

local present = call('EXISTS', meta, owners, held, own, free, ends, data, tomb, sess, sessends)

-- A ledger that is not there may be new, or lost.
local created = false
if call('EXISTS', led, ledat, ledmeta) < 3 then
  call('DEL', led, ledat)
  call('HSET', ledmeta, 'made', ms(now), 'lost', a.create and '0' or ms(now))
  call('HSET', led, '', '')
  call('ZADD', ledat, FOREVER * 2, '')
  created = true
end
local made = call('HGET', ledmeta, 'made')

-- The same goes for the stock. A server that was restarted, or another one, may have
-- lost what was written last.
local run = '-'
local info = redis.pcall('INFO', 'server')
if type(info) == 'string' then run = string.match(info, 'run_id:(%w+)') or '-' end
local epoch = tonumber(call('HGET', meta, 'epoch') or 0)
if present < 10 or call('HGET', meta, 'run') ~= run or call('HGET', meta, 'ledger') ~= made then
  local fresh = present == 0 and a.create
  epoch = math.max(now, epoch + 1, a.epoch + 1)
  call('DEL', meta, owners, held, own, free)
  call('HSET', meta, 'epoch', ms(epoch), 'run', run, 'ledger', made, 'config', a.config,
    'hold', fresh and '0' or ms(now + a.hold), 'token', '', 'until', '0')
  anchor()
  created = true
  for _, id in ipairs(call('HKEYS', data)) do
    local till = call('ZSCORE', ends, id)
    if id == '' then -- the anchor
    elseif till then call('ZADD', free, till, id)
    else call('HDEL', data, id) end
  end
end

-- Every key expires, when nobody has come for long.
if created or now - tonumber(call('HGET', meta, 'touched') or 0) > 60000 then
  call('HSET', meta, 'touched', ms(now))
  local keep = math.max(7 * 86400000, 2 * tonumber(call('HGET', ledmeta, 'per') or 0))
  for _, key in ipairs(KEYS) do call('PEXPIRE', key, ms(keep)) end
end

-- What has ended, a part of it at each call.
for _, owner in ipairs(call('ZRANGEBYSCORE', owners, '-inf', ms(now), 'LIMIT', 0, 16)) do forget(owner) end
for _, id in ipairs(call('ZRANGEBYSCORE', ends, '-inf', ms(now), 'LIMIT', 0, 200)) do remove(id) end
for _, id in ipairs(call('ZRANGEBYSCORE', tomb, '-inf', ms(now), 'LIMIT', 0, 200)) do call('ZREM', tomb, id) end
for _, key in ipairs(call('ZRANGEBYSCORE', sessends, '-inf', ms(now), 'LIMIT', 0, 200)) do
  call('ZREM', sessends, key)
  call('HDEL', sess, key)
end

-- alive tells that the member's lease has not ended, and sees that it has if it has.
local function alive(member)
  local till = call('ZSCORE', owners, member)
  if till and number(till) > now then return true end
  if till then forget(member) end
  return false
end

local function buried(id)
  local till = call('ZSCORE', tomb, id)
  return till and number(till) > now
end

-- add puts a proxy into the stock, or lets one that is there live longer.
local function add(id, payload, left)
  local till = FOREVER
  if left >= 0 then till = (a.sent > 0 and math.min(now, a.sent) or now) + left end
  if till <= now or buried(id) then return end
  local old = call('ZSCORE', ends, id)
  local owner = call('HGET', held, id)
  if old and number(old) > till then till = number(old) end
  call('ZADD', ends, ms(till), id)
  if not owner then
    call('HSET', data, id, payload)
    call('ZADD', free, ms(till), id)
  end
end

local function seen()
  if seqkey and a.seq then call('HSET', meta, seqkey, ms(a.seq)) end
end
