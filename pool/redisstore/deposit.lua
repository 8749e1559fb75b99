-- Deposit adds what was fetched to the stock. The last part of it settles the booking
-- and ends the grant.
for _, h in ipairs(a.held) do add(h.id, h.payload, h.left) end
if not a.settle then return {'ok', ms(now), '0'} end

local fenced = call('HGET', meta, 'token') ~= a.token or tonumber(call('HGET', meta, 'until') or 0) <= now
if not fenced then call('HSET', meta, 'token', '') end
if a.per > 0 then
  local at = number(call('ZSCORE', ledat, a.token)) or now
  call('HSET', led, a.token, ms(a.spent))
  call('ZADD', ledat, ms(math.min(at, now)), a.token)
end
return {'ok', ms(now), fenced and '1' or '0'}
