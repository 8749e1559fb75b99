-- Sync renews the lease of a member, applies what it reports, and returns the epoch and
-- what it has lost.
local known = alive(a.member)
if not a.full and (not known or a.epoch ~= epoch) then return {'rejoin', ms(now)} end
seen()
call('ZADD', owners, ms(now + a.ttl), a.member)

for _, d in ipairs(a.drop) do
  local owner = call('HGET', held, d.id)
  if d.retired then
    if not owner or owner == a.member then remove(d.id) end
    if d.time > 0 then call('ZADD', tomb, ms(now + d.time), d.id) end
  elseif owner == a.member then
    local till = call('ZSCORE', ends, d.id)
    if till and number(till) - now < d.minleft then remove(d.id) else release(d.id, a.member) end
  end
end

local lost = {'ok', ms(now), ms(epoch)}
if a.full then
  -- After a loss of data, a list counts only if the claims on it had not ended.
  local moved = a.epoch ~= 0 and a.epoch ~= epoch
  local listed = {}
  for _, h in ipairs(a.held) do listed[h.id] = true end
  for _, id in ipairs(holdings(a.member)) do
    if not listed[id] then release(id, a.member) end
  end
  for _, h in ipairs(a.held) do
    local owner = call('HGET', held, h.id)
    if owner == a.member then -- it is
    elseif owner or buried(h.id) or moved and not a.alive then table.insert(lost, h.id)
    else
      if moved and h.left ~= 0 then add(h.id, h.payload, h.left) end
      if call('HEXISTS', data, h.id) == 1 then hold(h.id, a.member) else table.insert(lost, h.id) end
    end
  end
  if a.lenient then
    for _, b in ipairs(a.bookings) do
      if call('HSETNX', led, b.token, b.n) == 1 then call('ZADD', ledat, ms(now - b.ago), b.token) end
    end
  end
end

for _, pin in ipairs(a.pins) do
  local till = call('ZSCORE', ends, pin.id)
  if till then
    call('HSET', sess, pin.key, pin.id)
    call('ZADD', sessends, ms(math.min(number(till), now + 7 * 86400000)), pin.key)
  else
    call('HDEL', sess, pin.key)
    call('ZREM', sessends, pin.key)
  end
end
return lost
