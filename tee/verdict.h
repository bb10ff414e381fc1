// The answer of every verifier: a list of named checks, the parsed claims, and what follows from
// them. A verdict is a value with reasons, never an error: evidence that could not even be read
// gives a verdict too, whose failed check says so.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace coffer {
class JsonWriter;
}

namespace coffer::tee {

// One question that was asked of the evidence.
struct Check {
  std::string name;      // dotted and stable, for scripts: "chain.crl_fresh"
  bool ok = false;       // held, or was waived (then `expected` says so)
  std::string expected;  // what would have been right, in words or lower-case hex
  std::string found;     // what the evidence says
  std::string source;    // where the expectation comes from: spec and section, or "expectation"
};

class Verdict {
 public:
  // `tee`: "snp", "tdx", "tpm".
  explicit Verdict(std::string_view tee);
  Verdict(const Verdict& other);
  Verdict(Verdict&& other) noexcept;
  Verdict& operator=(const Verdict& other);
  Verdict& operator=(Verdict&& other) noexcept;
  ~Verdict();

  // Adds a check and returns its `ok`, so that dependent checks can follow.
  bool add(Check check);
  void add_all(std::vector<Check> checks);
  bool add(std::string_view name, bool ok, std::string_view expected, std::string_view found,
           std::string_view source);
  // `found == expected` decides.
  bool add_equal(std::string_view name, std::string_view expected, std::string_view found,
                 std::string_view source);
  // A check that the caller chose not to make; `why` says by which setting.
  void add_waived(std::string_view name, std::string_view found, std::string_view why);

  // Every check held, and at least one was made.
  [[nodiscard]] bool verified() const;
  [[nodiscard]] const std::string& tee() const { return tee_; }
  // The trusted root is an emulator's: no hardware stands behind this evidence.
  [[nodiscard]] bool emulated() const { return emulated_; }
  void set_emulated(bool emulated) { emulated_ = emulated; }

  [[nodiscard]] const std::vector<Check>& checks() const { return checks_; }
  [[nodiscard]] std::vector<Check> failed() const;
  // The first check of that name, or nullptr. Lives as long as no check is added.
  [[nodiscard]] const Check* find(std::string_view name) const;

  // A JSON object: the evidence's fields by the vendor's names in snake case, byte strings in
  // lower-case hex. Empty until the evidence could be parsed. Nothing in it may be believed unless
  // verified().
  [[nodiscard]] const nlohmann::json& claims() const { return *claims_; }
  [[nodiscard]] nlohmann::json& claims() { return *claims_; }

  // [{"name", "ok", "expected", "found", "source"}]
  [[nodiscard]] nlohmann::json checks_json() const;
  // The same as text.
  void write_checks(JsonWriter& writer) const;
  // {"verified", "tee", "emulated", "checks": [...], "claims": {...}}: DESIGN.md section 6.
  [[nodiscard]] nlohmann::json to_json() const;
  // For people: one line a check, failures marked, and the outcome last.
  [[nodiscard]] std::string to_table() const;

 private:
  std::string tee_;
  bool emulated_ = false;
  std::vector<Check> checks_;
  std::unique_ptr<nlohmann::json> claims_;
};

}  // namespace coffer::tee
