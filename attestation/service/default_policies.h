// The policies that a new service has.
#pragma once

#include <string_view>

namespace coffer::appraisal {

// "default" for the class "cpu": what Trustee's compares, with the same results.
[[nodiscard]] std::string_view default_cpu_policy();
// A resource goes to a guest of which every part is affirming and none a sample.
[[nodiscard]] std::string_view default_resource_policy();

}  // namespace coffer::appraisal
