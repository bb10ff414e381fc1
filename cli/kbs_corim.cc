#include "cli/kbs_corim.h"

#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>

#include "attestation/reference_values/corim.h"
#include "base/fd.h"
#include "base/json.h"
#include "tee/digest.h"

namespace coffer::cli {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxFile = std::size_t{8} << 20U;
constexpr std::int64_t kMaxDays = 36500;
constexpr std::int64_t kDay = 86400;
constexpr unsigned kMode = 0644;

constexpr std::string_view kHelp =
    "Writes reference values as a CoRIM (CBOR), signed when a key is given. The input is an "
    "object\n"
    "of name to what is allowed: whole numbers, texts, or lists of them; lower-case hex becomes\n"
    "digests and bytes. A coffer-kbs takes it by `coffer kbs set-reference-values`, and believes\n"
    "a signature by the keys of its reference_values.trusted_keys.\n\n"
    "example: coffer kbs pack-reference-values values.json --corim-key key.pem -o values.corim";

Result<std::int64_t> days_of(const std::string& text) {
  std::int64_t days = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), days);
  if (error == std::errc() && end == text.data() + text.size() && days > 0 && days <= kMaxDays) {
    return days;
  }
  return fail(Code::kInvalidArgument,
              fmt::format("option '--valid-days': got '{}', want 1 to {}", text, kMaxDays));
}

Status pack_file(const std::vector<std::string>& files, const std::string& output,
                 const CorimOptions& corim) {
  if (files.size() != 1 || output.empty()) {
    return fail(Code::kInvalidArgument,
                "kbs pack-reference-values: want one file of values, and --output");
  }
  COFFER_TRY(const std::string text, read_file(files.front(), kMaxFile));
  COFFER_TRY(const Json values, parse_json(text, files.front()));
  COFFER_TRY(const std::string bytes, make_corim(values, corim));
  return write_file_atomic(output, bytes, kMode);
}

int pack(Args args) {
  CorimOptions corim;
  std::string output;
  std::vector<std::string> files;
  Options options("kbs pack-reference-values VALUES.json --output FILE [OPTION]...", kHelp);
  declare_corim(options, corim);
  options.value("--output,-o", &output, "file to write").positional(&files);
  if (const auto status = options.parse(args); !status) return report(status.error());
  if (options.help_shown()) return kExitOk;
  if (const auto status = pack_file(files, output, corim); !status) return report(status.error());
  return kExitOk;
}

Result<std::optional<jose::PrivateKey>> read_key(const std::string& file) {
  if (file.empty()) return std::optional<jose::PrivateKey>();
  COFFER_TRY(const std::string pem, read_file(file, kMaxFile));
  auto key = jose::PrivateKey::from_pem(pem);
  if (key) return std::optional(*std::move(key));
  return fail(std::move(key).error().with_context(fmt::format("read '{}'", file)));
}

}  // namespace

void declare_corim(Options& options, CorimOptions& corim) {
  options.value("--corim-id", &corim.id, "the CoRIM's id (else made of the values' digest)")
      .value("--corim-key", &corim.key_file, "PEM private key, EC P-256 or P-384, that signs it")
      .value("--valid-days", &corim.days, "of the CoRIM, from now (365)");
}

Result<std::string> make_corim(const Json& values, const CorimOptions& corim) {
  COFFER_TRY(const std::int64_t days, days_of(corim.days));
  COFFER_TRY(const auto key, read_key(corim.key_file));
  const std::int64_t now = std::chrono::duration_cast<std::chrono::seconds>(
                               std::chrono::system_clock::now().time_since_epoch())
                               .count();
  rv::CorimContent content{
      .id = corim.id, .not_before = now, .not_after = now + days * kDay, .signer = "coffer"};
  if (content.id.empty()) {
    content.id = "coffer:" + to_hex(tee::sha256(as_bytes(values.dump()))).substr(0, 32);
  }
  COFFER_TRY(const Bytes bytes, rv::write_corim(values, content, key ? &*key : nullptr));
  return std::string(as_text(bytes));
}

bool is_values_format(std::string_view format) {
  return format == "reference-values" || format == "corim";
}

Result<std::string> format_values(std::string_view format, const Json& values,
                                  const std::string& source, const CorimOptions& corim) {
  if (format == "corim") return make_corim(values, corim);
  Json list = Json::array();
  for (const auto& [name, value] : values.items()) {
    list.push_back({{"name", name}, {"value", value}, {"source", source}});
  }
  return list.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Command kbs_pack_reference_values() {
  return {.name = "kbs pack-reference-values",
          .summary = "write reference values as a CoRIM, signed or not",
          .run = pack};
}

}  // namespace coffer::cli
