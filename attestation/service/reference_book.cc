#include "attestation/service/reference_book.h"

#include <algorithm>
#include <ranges>

#include "policy/value/json.h"

namespace coffer::appraisal {
namespace {

using policy::Value;

// Claims are the evidence's own: how many and how long, a stranger decides.
constexpr std::size_t kMaxUnmatched = 8;
constexpr std::size_t kMaxClaimBytes = 512;
constexpr std::string_view kPackage = "data.policy.";

Result<Value> query_reference_value(policy::BuiltinContext& context, std::span<const Value> args) {
  COFFER_TRY(const std::string_view name, policy::string_operand(args, 1));
  if (context.host == nullptr) return policy::builtin_error("there are no reference values here");
  return static_cast<ReferenceBook*>(context.host)->look_up(name);
}

constexpr policy::Builtin kFunctions[] = {
    {"query_reference_value", 1, &query_reference_value, policy::kNondeterministic}};

template <typename Range, typename Item>
bool contains(const Range& range, const Item& item) {
  return std::ranges::find(range, item) != std::ranges::end(range);
}

bool allows(const Value& answer, const Value& claim) {
  return answer == claim || (answer.is_array() && contains(answer.items(), claim));
}

}  // namespace

std::span<const policy::Builtin> ReferenceBook::functions() { return kFunctions; }

Result<Value> ReferenceBook::look_up(std::string_view name) {
  const auto at = values_.values.find(name);
  Query query{.name = std::string(name), .finding = "missing", .value = {}};
  Value answer = Value::null();
  if (at != values_.values.end()) {
    switch (rv::validity_at(at->second, time_)) {
      case rv::Validity::kNotYet:
        query.finding = "not yet valid";
        break;
      case rv::Validity::kExpired:
        query.finding = "expired";
        break;
      case rv::Validity::kValid: {
        query.finding = "found";
        query.value = at->second.value;
        COFFER_TRY(answer, policy::parse_json(at->second.value, "a reference value"));
      }
    }
  }
  query.asked_by.insert(rules_.begin(), rules_.end());
  pages_.push_back({std::move(query), answer});
  return answer;
}

std::vector<Query> ReferenceBook::queries() const {
  std::vector<Query> out;
  for (const auto& page : pages_) out.push_back(page.query);
  return out;
}

void ReferenceBook::add_comparisons(std::vector<Query>& queries) const {
  for (auto& query : queries) {
    for (const auto& page : pages_) {
      if (page.query.name != query.name) continue;
      query.unmatched = page.query.unmatched;
      query.asked_by = page.query.asked_by;
    }
  }
}

void ReferenceBook::enter(const policy::Function& function, std::span<const Value>) {
  const std::string_view name = function.name;
  rules_.push_back(name.starts_with(kPackage) ? name.substr(kPackage.size()) : name);
}

void ReferenceBook::leave(const policy::Function&, const Value&) {
  if (!rules_.empty()) rules_.pop_back();
}

// Only operands are seen, not where they come from: an operand that equals an answer is the answer,
// and of equal ones the one that was given last.
void ReferenceBook::failed(const policy::Function&, std::uint32_t, const Value& a, const Value& b) {
  if (!a.defined() || !b.defined()) return;
  if (!compare(b, a)) compare(a, b);
}

bool ReferenceBook::compare(const Value& answer, const Value& claim) {
  for (auto& [query, given] : std::views::reverse(pages_)) {
    if (!(given == answer)) continue;
    auto& seen = query.unmatched;
    if (claim.is_null() || allows(answer, claim) || seen.size() == kMaxUnmatched) return true;
    std::string text = policy::to_json(claim);
    if (text.size() > kMaxClaimBytes) return true;
    if (!contains(seen, text)) seen.push_back(std::move(text));
    return true;
  }
  return false;
}

}  // namespace coffer::appraisal
