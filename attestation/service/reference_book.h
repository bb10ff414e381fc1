// Answers the policies' query_reference_value, and remembers what was asked; as a tracer also what
// the answers were compared with.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "attestation/reference_values/value_set.h"
#include "attestation/service/policies.h"
#include "policy/engine.h"

namespace coffer::appraisal {

// Of one evaluation, for its BuiltinContext::host.
class ReferenceBook final : public policy::BuiltinHost, public policy::Tracer {
 public:
  // `values` must outlive it.
  ReferenceBook(const rv::Snapshot& values, tee::UnixTime time) : values_(values), time_(time) {}

  // query_reference_value(name): the value, or null.
  [[nodiscard]] static std::span<const policy::Builtin> functions();
  [[nodiscard]] Result<policy::Value> look_up(std::string_view name);
  // In the order in which they were asked for.
  [[nodiscard]] std::vector<Query> queries() const;
  // What was seen as a tracer goes to the queries of the same name.
  void add_comparisons(std::vector<Query>& queries) const;

  void enter(const policy::Function& function, std::span<const policy::Value> args) override;
  void leave(const policy::Function& function, const policy::Value& result) override;
  void failed(const policy::Function& function, std::uint32_t pc, const policy::Value& a,
              const policy::Value& b) override;

 private:
  struct Page {
    Query query;
    policy::Value answer;
  };
  bool compare(const policy::Value& answer, const policy::Value& claim);

  const rv::Snapshot& values_;
  tee::UnixTime time_;
  std::vector<Page> pages_;
  std::vector<std::string_view> rules_;  // of the vector's members, that are being evaluated
};

}  // namespace coffer::appraisal
