--- @include "hashes"

-- bucket_count(family): how many buckets it has; they are numbered from 0.
local function bucket_count(family)
  return family.split > 0 and family.ways * family.level or family.level
end
