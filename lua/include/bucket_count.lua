--- @include "hashes"

-- bucket_count(family): all its buckets have smaller numbers.
local function bucket_count(family)
  return family.split > 0 and family.ways * family.level or family.level
end
