-- RIGHTS: which of these commands the user may not give. ARGV: a command with arguments, in words with a space between.
-- Returns those. Redis 6 cannot tell (acl_check_cmd is of Redis 7), and returns none.
local missing = {}
for _, line in ipairs(redis.acl_check_cmd and ARGV or {}) do
  local words = {}
  for word in string.gmatch(line, '%S+') do words[#words + 1] = word end
  local known, allowed = pcall(redis.acl_check_cmd, unpack(words))
  if known and not allowed then missing[#missing + 1] = line end
end
return missing
