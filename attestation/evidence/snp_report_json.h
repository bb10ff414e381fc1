// An SNP report as Trustee writes it in JSON, field by field.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "base/error.h"
#include "tee/sev-snp/report.h"

namespace coffer::evidence {

// Fields only: reserved bytes have no member. The shape of a TCB is told by its `fmc`: null on
// Milan and Genoa, a number on Turin.
[[nodiscard]] Result<snp::Report> parse_report_json(const nlohmann::json& json);
[[nodiscard]] nlohmann::json make_report_json(const snp::Report& report);

}  // namespace coffer::evidence
