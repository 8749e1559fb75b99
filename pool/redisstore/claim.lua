-- Claim takes proxies out of the stock, and may grant the right to fetch the rest. It
-- returns why and how long to wait, the grant, the homes of sessions, and the proxies.
if not alive(a.member) or a.epoch ~= epoch then return {'rejoin', ms(now)} end
seen()
local got, homes = {}, {}
local function reply(why, again, token, n)
  return {'ok', ms(now), why, ms(again), token, ms(n), homes, got}
end
local function take(id)
  local payload, till = call('HGET', data, id), number(call('ZSCORE', ends, id)) or 0
  if not payload or till <= now then
    remove(id)
    return false
  end
  hold(id, a.member)
  table.insert(got, id)
  table.insert(got, payload)
  table.insert(got, till >= FOREVER and '-1' or ms(till - now))
  return true
end

local held_until = tonumber(call('HGET', meta, 'hold') or 0)
if held_until > now then return reply('hold', held_until - now, '', 0) end

for _, key in ipairs(a.sessions) do
  local id = call('HGET', sess, key)
  local owner = id and call('HGET', held, id)
  if id and (owner == a.member or not owner and call('HEXISTS', data, id) == 1 and take(id)) then
    table.insert(homes, key)
    table.insert(homes, id)
  end
end

local n = 0
if a.n > 0 then
  for _, id in ipairs(call('ZREVRANGEBYSCORE', free, '+inf', '(' .. ms(now + a.minleft), 'LIMIT', 0, a.n)) do
    if take(id) then n = n + 1 end
  end
end

local missing = math.min(a.n - n, a.ask)
if missing <= 0 then return reply('', 0, '', 0) end
local token, till = call('HGET', meta, 'token'), tonumber(call('HGET', meta, 'until') or 0)
if a.fence and token ~= '' and till > now then return reply('fetch', math.min(till - now, 200), '', 0) end

if a.limit > 0 then
  if a.per > tonumber(call('HGET', ledmeta, 'per') or 0) then call('HSET', ledmeta, 'per', ms(a.per)) end
  local keep = tonumber(call('HGET', ledmeta, 'per'))
  for _, token in ipairs(call('ZRANGEBYSCORE', ledat, '-inf', ms(now - keep), 'LIMIT', 0, 200)) do
    call('ZREM', ledat, token)
    call('HDEL', led, token)
  end
  local left, again = a.limit, 1000
  for i, token in ipairs(call('ZRANGEBYSCORE', ledat, '(' .. ms(now - a.per), '(' .. ms(FOREVER))) do
    left = left - tonumber(call('HGET', led, token) or 0)
    if i == 1 then
      local at = number(call('ZSCORE', ledat, token))
      if at <= now then again = at + a.per - now end -- an open one may cost less
    end
  end
  local lost = tonumber(call('HGET', ledmeta, 'lost') or 0)
  if not a.lenient and lost + a.per > now then left, again = 0, lost + a.per - now end
  if left <= 0 then return reply('quota', again, '', 0) end
  missing = math.min(missing, left)
end

token = a.member .. ':' .. ms(epoch) .. ':' .. ms(call('HINCRBY', meta, 'sequence', 1))
call('HSET', meta, 'token', token, 'until', ms(now + a.ttl))
if a.limit > 0 then -- what is never settled counts from the end of the grant
  call('HSET', led, token, ms(missing))
  call('ZADD', ledat, ms(now + a.ttl), token)
end
return reply('', 0, token, missing)
