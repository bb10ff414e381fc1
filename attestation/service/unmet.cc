#include "attestation/service/unmet.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace coffer::appraisal {
namespace {

constexpr std::size_t kMaxShown = 600;  // bytes of a value in a line

std::string shown(const std::string& value) {
  return value.size() <= kMaxShown ? value : value.substr(0, kMaxShown) + "...";
}

// Asked for in the rule of a claim that falls short, or nobody knows where.
bool counts(const Query& query, const Appraisal& appraisal) {
  bool known = false;
  for (const auto& [name, value] : appraisal.vector) {
    if (!query.asked_by.contains(name)) continue;
    if (falls_short(value)) return true;
    known = true;
  }
  return !known;
}

std::vector<const Query*> unmet(const Appraisal& appraisal) {
  std::vector<const Query*> out;
  if (appraisal.status == "affirming") return out;
  for (const auto& query : appraisal.queries) {
    const bool met = query.finding == "found" && query.unmatched.empty();
    if (!met && counts(query, appraisal)) out.push_back(&query);
  }
  return out;
}

}  // namespace

std::vector<std::string> unmet_names(const Appraisal& appraisal) {
  std::vector<std::string> out;
  for (const Query* query : unmet(appraisal)) {
    out.push_back(fmt::format("{} ({})", query->name,
                              query->finding == "found" ? "no match" : query->finding));
  }
  return out;
}

std::string describe_unmet(const std::vector<std::string>& names) {
  if (names.empty()) return {};
  return fmt::format(": reference values {}", fmt::join(names, ", "));
}

std::string unmet_details(const Appraisal& appraisal) {
  std::vector<std::string> out;
  for (const Query* query : unmet(appraisal)) {
    if (query->unmatched.empty()) continue;
    const std::string want = query->finding == "found" ? shown(query->value) : query->finding;
    out.push_back(fmt::format("{}: want {}, got {}", query->name, want,
                              shown(fmt::format("{}", fmt::join(query->unmatched, ", ")))));
  }
  return fmt::format("{}", fmt::join(out, "; "));
}

}  // namespace coffer::appraisal
