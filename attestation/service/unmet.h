// What a part lacks to be affirming, as far as reference values say.
#pragma once

#include <string>
#include <vector>

#include "attestation/service/policies.h"

namespace coffer::appraisal {

// "init_data (no match)", "snp_snp_svn (missing)", ...: each reference value that a claim which
// falls short had to be, and was not. Fit for a guest: no value stands in it.
[[nodiscard]] std::vector<std::string> unmet_names(const Appraisal& appraisal);
// ": reference values init_data (no match), ...", for the end of describe_status(); empty without
// names.
[[nodiscard]] std::string describe_unmet(const std::vector<std::string>& names);
// "init_data: want ["aa"], got "bb"; ...", for the administrator: of those whose claims are known.
[[nodiscard]] std::string unmet_details(const Appraisal& appraisal);

}  // namespace coffer::appraisal
