#include "tee/sev-snp/expectations.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <functional>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/json.h"

namespace coffer::snp {
namespace {

using Json = nlohmann::json;
using Setter = std::function<Status(const Json&, Expectations&)>;

std::unexpected<Error> wrong_type(std::string_view want) {
  return fail(Code::kInvalidArgument, fmt::format("want {}", want));
}

Result<std::uint64_t> to_unsigned(const Json& value, std::uint64_t max) {
  if (value.is_number_unsigned() && value.get<std::uint64_t>() <= max) {
    return value.get<std::uint64_t>();
  }
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    const bool hex = text.starts_with("0x");
    const char* begin = text.data() + (hex ? 2 : 0);
    const char* end = text.data() + text.size();
    std::uint64_t number = 0;
    const auto [at, error] = std::from_chars(begin, end, number, hex ? 16 : 10);
    if (error == std::errc() && at == end && begin != end && number <= max) return number;
  }
  return wrong_type(fmt::format("a number in 0..{}", max));
}

Setter boolean(bool Expectations::* member) {
  return [member](const Json& value, Expectations& out) -> Status {
    if (!value.is_boolean()) return wrong_type("true or false");
    out.*member = value.get<bool>();
    return {};
  };
}

Result<Bytes> to_octets(const Json& value, std::size_t size, bool pad) {
  if (!value.is_string()) return wrong_type("a hex string");
  return parse_octets(value.get_ref<const std::string&>(), size, pad, "value");
}

Setter octets(std::optional<Bytes> Expectations::* member, std::size_t size, bool pad = false) {
  return [=](const Json& value, Expectations& out) -> Status {
    COFFER_TRY(out.*member, to_octets(value, size, pad));
    return {};
  };
}

// One hex string or a list of them.
Setter octets_list(std::vector<Bytes> Expectations::* member, std::size_t size) {
  return [=](const Json& value, Expectations& out) -> Status {
    const Json list = value.is_array() ? value : Json::array({value});
    if (list.empty()) return wrong_type("at least one value");
    std::vector<Bytes> values;
    for (const auto& item : list) {
      COFFER_TRY(Bytes bytes, to_octets(item, size, false));
      values.push_back(std::move(bytes));
    }
    out.*member = std::move(values);
    return {};
  };
}

Setter number(std::uint32_t Expectations::* member) {
  return [=](const Json& value, Expectations& out) -> Status {
    COFFER_TRY(const std::uint64_t parsed, to_unsigned(value, 0xFFFFFFFF));
    out.*member = static_cast<std::uint32_t>(parsed);
    return {};
  };
}

Setter bits(std::uint64_t Expectations::* member) {
  return [=](const Json& value, Expectations& out) -> Status {
    COFFER_TRY(out.*member, to_unsigned(value, ~std::uint64_t{0}));
    return {};
  };
}

Result<MinimumTcb> tcb_from_json(const Json& value) {
  if (!value.is_object()) return wrong_type("an object of fmc, bl, tee, snp, ucode");
  MinimumTcb out;
  for (const auto& [key, part] : value.items()) {
    COFFER_TRY(const std::uint64_t parsed, to_unsigned(part, 0xFF));
    const auto spl = static_cast<std::uint8_t>(parsed);
    if (key == "fmc") {
      out.fmc = spl;
    } else if (key == "bl" || key == "boot_loader" || key == "bootloader") {
      out.boot_loader = spl;
    } else if (key == "tee") {
      out.tee = spl;
    } else if (key == "snp") {
      out.snp = spl;
    } else if (key == "ucode" || key == "microcode") {
      out.microcode = spl;
    } else {
      return fail(Code::kInvalidArgument,
                  fmt::format("part '{}': unknown (want fmc, bl, tee, snp or ucode)", key));
    }
  }
  return out;
}

Setter minimum_tcb(std::optional<MinimumTcb> Expectations::* member) {
  return [=](const Json& value, Expectations& out) -> Status {
    COFFER_TRY(out.*member, tcb_from_json(value));
    return {};
  };
}

// "1.55.29" or "1.55": major.minor.build.
Status set_min_firmware(const Json& value, Expectations& out) {
  if (!value.is_string()) return wrong_type("a version as 1.55.29");
  std::array<std::uint8_t, 3> parts{};
  std::string_view text = value.get_ref<const std::string&>();
  std::size_t count = 0;
  for (; count < parts.size(); ++count) {
    const auto [at, error] =
        std::from_chars(text.data(), text.data() + text.size(), parts.at(count));
    if (error != std::errc()) return wrong_type("a version as 1.55.29");
    text.remove_prefix(static_cast<std::size_t>(at - text.data()));
    if (text.empty()) break;
    if (text.front() != '.') return wrong_type("a version as 1.55.29");
    text.remove_prefix(1);
  }
  if (!text.empty() || count == 0) return wrong_type("a version as 1.55.29");
  out.min_firmware = FirmwareVersion{.build = parts[2], .minor = parts[1], .major = parts[0]};
  return {};
}

struct Key {
  std::string_view name;
  Setter set;
};

const std::vector<Key>& keys() {
  static const std::vector<Key> table{
      {"require_vmpl",
       [](const Json& value, Expectations& out) -> Status {
         COFFER_TRY(const std::uint64_t vmpl, to_unsigned(value, 3));
         out.vmpl = static_cast<std::uint32_t>(vmpl);
         return {};
       }},
      {"expect_report_data", octets(&Expectations::report_data, 64, true)},
      {"expect_measurement", octets_list(&Expectations::measurements, 48)},
      {"expect_host_data", octets(&Expectations::host_data, 32, true)},
      {"expect_family_id", octets(&Expectations::family_id, 16)},
      {"expect_image_id", octets(&Expectations::image_id, 16)},
      {"expect_report_id", octets(&Expectations::report_id, 32)},
      {"expect_report_id_ma", octets(&Expectations::report_id_ma, 32)},
      {"expect_chip_id", octets_list(&Expectations::chip_ids, 64)},
      {"expect_csp_id",
       [](const Json& value, Expectations& out) -> Status {
         if (!value.is_string()) return wrong_type("a string");
         out.csp_id = value.get<std::string>();
         return {};
       }},
      {"expect_policy",
       [](const Json& value, Expectations& out) -> Status {
         COFFER_TRY(out.policy, to_unsigned(value, ~std::uint64_t{0}));
         return {};
       }},
      {"trusted_id_key_digests", octets_list(&Expectations::id_key_digests, 48)},
      {"trusted_author_key_digests", octets_list(&Expectations::author_key_digests, 48)},
      {"allow_debug", boolean(&Expectations::allow_debug)},
      {"allow_migrate_ma", boolean(&Expectations::allow_migrate_ma)},
      {"allow_migration", boolean(&Expectations::allow_migrate_ma)},
      {"allow_smt", boolean(&Expectations::allow_smt)},
      {"allow_cxl", boolean(&Expectations::allow_cxl)},
      {"allow_vlek", boolean(&Expectations::allow_vlek)},
      {"allow_masked_chip_id", boolean(&Expectations::allow_masked_chip_id)},
      {"allow_provisional_firmware", boolean(&Expectations::allow_provisional_firmware)},
      {"require_crl", boolean(&Expectations::require_crl)},
      {"require_alias_check", boolean(&Expectations::require_alias_check)},
      {"require_tsme", boolean(&Expectations::require_tsme)},
      {"require_ecc", boolean(&Expectations::require_ecc)},
      {"require_rapl_disabled", boolean(&Expectations::require_rapl_disabled)},
      {"require_ciphertext_hiding", boolean(&Expectations::require_ciphertext_hiding)},
      {"require_single_socket", boolean(&Expectations::require_single_socket)},
      {"require_aes_256_xts", boolean(&Expectations::require_aes_256_xts)},
      {"require_page_swap_disabled", boolean(&Expectations::require_page_swap_disabled)},
      {"min_report_version", number(&Expectations::min_report_version)},
      {"min_guest_svn", number(&Expectations::min_guest_svn)},
      {"min_tcb", minimum_tcb(&Expectations::min_tcb)},
      {"min_launch_tcb", minimum_tcb(&Expectations::min_launch_tcb)},
      {"min_committed_tcb", minimum_tcb(&Expectations::min_committed_tcb)},
      {"min_current_tcb", minimum_tcb(&Expectations::min_current_tcb)},
      {"min_firmware", set_min_firmware},
      {"required_launch_mit_vector", bits(&Expectations::required_launch_mitigations)},
      {"required_current_mit_vector", bits(&Expectations::required_current_mitigations)},
  };
  return table;
}

}  // namespace

std::string MinimumTcb::to_text() const {
  std::string out;
  const auto part = [&](std::string_view name, const std::optional<std::uint8_t>& value) {
    if (value) out += fmt::format("{}{} {}", out.empty() ? "" : ", ", name, *value);
  };
  part("fmc", fmc);
  part("boot loader", boot_loader);
  part("tee", tee);
  part("snp", snp);
  part("microcode", microcode);
  return out.empty() ? "any" : "at least " + out;
}

Result<Expectations> parse_expectations(const Json& object, Expectations base) {
  if (!object.is_object()) {
    return fail(Code::kInvalidArgument, "read SNP policy: not a JSON object");
  }
  for (const auto& [name, value] : object.items()) {
    const auto at = std::find_if(keys().begin(), keys().end(),
                                 [&](const Key& key) { return key.name == name; });
    if (at == keys().end()) {
      return fail(Code::kInvalidArgument,
                  fmt::format("read SNP policy: key '{}': unknown (known: {})", name,
                              fmt::join(expectation_keys(), ", ")));
    }
    if (auto status = at->set(value, base); !status) {
      return fail(
          std::move(status.error()).with_context(fmt::format("read SNP policy: key '{}'", name)));
    }
  }
  return base;
}

std::vector<std::string> expectation_keys() {
  std::vector<std::string> out;
  for (const auto& key : keys()) out.emplace_back(key.name);
  return out;
}

Result<MinimumTcb> parse_minimum_tcb(std::string_view text) {
  if (text.starts_with('{')) {
    COFFER_TRY(const Json object, parse_json(text, "minimum TCB"));
    return tcb_from_json(object);
  }
  Json object = Json::object();
  while (!text.empty()) {
    const std::string_view item = text.substr(0, text.find(','));
    const auto equals = item.find('=');
    if (equals == std::string_view::npos) {
      return fail(Code::kInvalidArgument, fmt::format("read minimum TCB '{}': want PART=N", item));
    }
    object[std::string(item.substr(0, equals))] = std::string(item.substr(equals + 1));
    text.remove_prefix(std::min(text.size(), item.size() + 1));
  }
  return tcb_from_json(object);
}

Result<Bytes> parse_octets(std::string_view hex, std::size_t size, bool pad,
                           std::string_view name) {
  if (hex.starts_with("0x")) hex.remove_prefix(2);
  auto bytes = from_hex(hex);
  if (!bytes) return fail(std::move(bytes.error()).with_context(fmt::format("read {}", name)));
  if (bytes->size() > size || (!pad && bytes->size() != size)) {
    return fail(Code::kInvalidArgument, fmt::format("read {}: {} octets, want {}{}", name,
                                                    bytes->size(), pad ? "at most " : "", size));
  }
  bytes->resize(size);
  return bytes;
}

}  // namespace coffer::snp
