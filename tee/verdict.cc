#include "tee/verdict.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/json_writer.h"

namespace coffer::tee {
namespace {

constexpr std::size_t kUsualChecks = 80;
constexpr std::size_t kCell = 48;
constexpr std::string_view kWaived = "any (waived)";

// Long values keep both ends, which is where two digests are told apart.
std::string shorten(std::string_view text) {
  if (text.size() <= kCell) return std::string(text);
  const std::size_t half = (kCell - 2) / 2;
  return fmt::format("{}..{}", text.substr(0, half), text.substr(text.size() - half));
}

std::string row(const Check& check, std::size_t width) {
  if (check.ok && check.expected == kWaived) {
    return fmt::format("-     {:<{}}  {}  (not demanded: {})\n", check.name, width,
                       shorten(check.found), check.source);
  }
  if (check.ok) return fmt::format("ok    {:<{}}  {}\n", check.name, width, shorten(check.found));
  return fmt::format("FAIL  {:<{}}  want {}, got {}  [{}]\n", check.name, width,
                     shorten(check.expected), shorten(check.found), check.source);
}

}  // namespace

Verdict::Verdict(std::string_view tee)
    : tee_(tee), claims_(std::make_unique<nlohmann::json>(nlohmann::json::object())) {
  checks_.reserve(kUsualChecks);
}
Verdict::Verdict(const Verdict& other)
    : tee_(other.tee_),
      emulated_(other.emulated_),
      checks_(other.checks_),
      claims_(std::make_unique<nlohmann::json>(*other.claims_)) {}
Verdict::Verdict(Verdict&& other) noexcept = default;
Verdict& Verdict::operator=(const Verdict& other) {
  if (this != &other) *this = Verdict(other);
  return *this;
}
Verdict& Verdict::operator=(Verdict&& other) noexcept = default;
Verdict::~Verdict() = default;

bool Verdict::add(Check check) {
  checks_.push_back(std::move(check));
  return checks_.back().ok;
}

void Verdict::add_all(std::vector<Check> checks) {
  std::move(checks.begin(), checks.end(), std::back_inserter(checks_));
}

bool Verdict::add(std::string_view name, bool ok, std::string_view expected, std::string_view found,
                  std::string_view source) {
  return add(Check{.name = std::string(name),
                   .ok = ok,
                   .expected = std::string(expected),
                   .found = std::string(found),
                   .source = std::string(source)});
}

bool Verdict::add_equal(std::string_view name, std::string_view expected, std::string_view found,
                        std::string_view source) {
  return add(name, expected == found, expected, found, source);
}

void Verdict::add_waived(std::string_view name, std::string_view found, std::string_view why) {
  add(name, true, kWaived, found, why);
}

bool Verdict::verified() const {
  return !checks_.empty() &&
         std::all_of(checks_.begin(), checks_.end(), [](const Check& c) { return c.ok; });
}

std::vector<Check> Verdict::failed() const {
  std::vector<Check> out;
  std::copy_if(checks_.begin(), checks_.end(), std::back_inserter(out),
               [](const Check& c) { return !c.ok; });
  return out;
}

const Check* Verdict::find(std::string_view name) const {
  const auto at = std::find_if(checks_.begin(), checks_.end(),
                               [&](const Check& check) { return check.name == name; });
  return at == checks_.end() ? nullptr : &*at;
}

nlohmann::json Verdict::checks_json() const {
  nlohmann::json::array_t out;
  out.reserve(checks_.size());
  for (const auto& check : checks_) {
    // Not by a braced list, which copies each text twice.
    nlohmann::json::object_t entry;
    entry.emplace("name", check.name);
    entry.emplace("ok", check.ok);
    entry.emplace("expected", check.expected);
    entry.emplace("found", check.found);
    entry.emplace("source", check.source);
    out.emplace_back(std::move(entry));
  }
  return out;
}

void Verdict::write_checks(JsonWriter& writer) const {
  writer.begin_array();
  for (const auto& check : checks_) {
    writer.begin_object();
    writer.key("name").text(check.name);
    writer.key("ok").boolean(check.ok);
    writer.key("expected").text(check.expected);
    writer.key("found").text(check.found);
    writer.key("source").text(check.source);
    writer.end_object();
  }
  writer.end_array();
}

nlohmann::json Verdict::to_json() const {
  return {{"verified", verified()},
          {"tee", tee_},
          {"emulated", emulated_},
          {"checks", checks_json()},
          {"claims", *claims_}};
}

std::string Verdict::to_table() const {
  std::size_t width = 0;
  for (const auto& check : checks_) width = std::max(width, check.name.size());
  std::string out;
  for (const auto& check : checks_) out += row(check, width);
  const auto bad = failed().size();
  if (verified()) {
    out += fmt::format("verified: {} checks held\n", checks_.size());
  } else {
    out += fmt::format("NOT verified: {} of {} checks failed\n", bad, checks_.size());
  }
  if (emulated_)
    out += "emulated: the trusted root is an emulator's, no hardware vouches for this\n";
  return out;
}

}  // namespace coffer::tee
