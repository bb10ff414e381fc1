#include "cli/initdata.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "attestation/initdata/disk.h"
#include "attestation/initdata/gzip.h"
#include "attestation/initdata/initdata.h"
#include "base/fd.h"
#include "cli/kbs_corim.h"

namespace coffer::cli {
namespace {

using initdata::Initdata;
using Json = nlohmann::json;

constexpr std::string_view kReferenceValue = "init_data";

constexpr std::string_view kPackHelp =
    "Prints the value of the pod annotation io.katacontainers.config.hypervisor.cc_init_data for\n"
    "an initdata file (TOML: version, algorithm, [data]): base64 of its gzip.\n\n"
    "example: coffer initdata pack initdata.toml";
constexpr std::string_view kDigestHelp =
    "Prints the digest of initdata, in hex: what HOST_DATA (snp), MRCONFIGID (tdx) and the\n"
    "extension of PCR 8 (tpm) must be. With --tee it is cut or padded to that field.\n\n"
    "As reference-values or corim it prints the reference value 'init_data', which a key broker's\n"
    "default policy wants of a guest with initdata: what each TEE's field, and the PCR itself, "
    "may\n"
    "hold of these files. A value replaces the one that was registered before: give the files of "
    "all\n"
    "pods.\n\n"
    "example: coffer initdata digest --output-format reference-values a.toml b.toml > values.json\n"
    "         coffer kbs set-reference-values values.json";
constexpr std::string_view kShowHelp =
    "Shows what initdata holds: a TOML file, an annotation's value, or the disk that a guest "
    "gets.\n\n"
    "example: coffer initdata show --entry policy.rego annotation.txt";

struct Flags {
  std::string tee, entry, format = "hex";
  std::vector<std::string> files;
  bool json = false;
  CorimOptions corim;
};

struct Loaded {
  std::string name, text;
  Initdata initdata;
};

// A disk and gzip have their magic, TOML has a character that base64 has not.
Result<std::string> plain_text(std::string content) {
  const BytesView bytes = as_bytes(content);
  if (content.starts_with(initdata::kDiskMagic)) {
    COFFER_TRY(const BytesView packed, initdata::read_disk(bytes));
    return initdata::gunzip(packed, initdata::kMaxText);
  }
  if (content.starts_with("\x1f\x8b")) return initdata::gunzip(bytes, initdata::kMaxText);
  if (content.find_first_of("\"'[") == std::string::npos) return initdata::unpack(content);
  return content;
}

Result<Loaded> load_file(const std::string& name) {
  std::string content;
  if (name == "-") {
    COFFER_TRY(content, read_all(0, 2 * initdata::kMaxText, "stdin"));
  } else {
    COFFER_TRY(content, read_file(name, 2 * initdata::kMaxText));
  }
  Loaded out;
  out.name = name == "-" ? "stdin" : name;
  COFFER_TRY(out.text, plain_text(std::move(content)));
  COFFER_TRY(out.initdata, initdata::parse(out.text));
  return out;
}

Result<Loaded> load(const Flags& flags) {
  if (flags.files.size() != 1) return fail(Code::kInvalidArgument, "want one file ('-': stdin)");
  return load_file(flags.files.front());
}

std::unexpected<Error> unknown_tee(std::string_view tee) {
  return fail(Code::kInvalidArgument,
              fmt::format("option '--tee': '{}', want snp, tdx or tpm", tee));
}

Result<std::string> digest_for(const Loaded& loaded, std::string_view tee) {
  const Bytes digest = initdata::digest(loaded.initdata.algorithm, loaded.text);
  if (tee.empty()) return to_hex(digest);
  if (tee == "snp") return to_hex(initdata::fit(digest, initdata::kSnpHostData));
  if (tee == "tdx") return to_hex(initdata::fit(digest, initdata::kTdxConfigId));
  if (tee == "tpm") return to_hex(initdata::fit(digest, initdata::kTpmPcr));
  return unknown_tee(tee);
}

Result<std::string> pack(const Flags& flags) {
  COFFER_TRY(const Loaded loaded, load(flags));
  return initdata::pack(loaded.text) + "\n";
}

// Every value once; `source` tells which file each digest is of.
struct Known {
  Json values = Json::array();
  std::string source = "coffer initdata digest";
};

Result<std::vector<Bytes>> values_for(BytesView digest, std::string_view tee) {
  if (tee.empty()) return initdata::bound_values(digest);
  if (tee == "snp") return std::vector<Bytes>{initdata::fit(digest, initdata::kSnpHostData)};
  if (tee == "tdx") return std::vector<Bytes>{initdata::fit(digest, initdata::kTdxConfigId)};
  if (tee == "tpm") return std::vector<Bytes>{initdata::extended_pcr(digest)};
  return unknown_tee(tee);
}

Result<Known> known(const Flags& flags) {
  if (flags.files.empty()) return fail(Code::kInvalidArgument, "want files ('-': stdin)");
  Known out;
  for (const auto& name : flags.files) {
    COFFER_TRY(const Loaded loaded, load_file(name));
    const auto algorithm = loaded.initdata.algorithm;
    const Bytes digest = initdata::digest(algorithm, loaded.text);
    COFFER_TRY(const auto values, values_for(digest, flags.tee));
    for (const Bytes& value : values) {
      Json hex = to_hex(value);
      if (std::ranges::find(out.values, hex) == out.values.end()) out.values.push_back(hex);
    }
    out.source += fmt::format(" {} ({}:{})", loaded.name, initdata::algorithm_name(algorithm),
                              to_hex(digest));
  }
  return out;
}

Result<std::string> reference_values(const Flags& flags) {
  COFFER_TRY(const Known all, known(flags));
  return format_values(flags.format, Json{{kReferenceValue, all.values}}, all.source, flags.corim);
}

Result<std::string> digest(const Flags& flags) {
  if (is_values_format(flags.format)) return reference_values(flags);
  if (flags.format != "hex") {
    return fail(Code::kInvalidArgument,
                fmt::format("option '--output-format': '{}', want hex, reference-values or corim",
                            flags.format));
  }
  COFFER_TRY(const Loaded loaded, load(flags));
  COFFER_TRY(const std::string hex, digest_for(loaded, flags.tee));
  return hex + "\n";
}

Result<std::string> show(const Flags& flags) {
  COFFER_TRY(const Loaded loaded, load(flags));
  if (!flags.entry.empty()) {
    const std::string* entry = loaded.initdata.entry(flags.entry);
    if (entry != nullptr) return *entry;
    return fail(Code::kNotFound, fmt::format("show entry '{}': there is none", flags.entry));
  }
  COFFER_TRY(const std::string hex, digest_for(loaded, ""));
  const auto algorithm = initdata::algorithm_name(loaded.initdata.algorithm);
  if (flags.json) {
    const Json out = {{"algorithm", algorithm}, {"digest", hex}, {"data", loaded.initdata.data}};
    return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  }
  std::string out = fmt::format("algorithm  {}\ndigest     {}\n", algorithm, hex);
  for (const auto& [name, text] : loaded.initdata.data) {
    out += fmt::format("\n--- {} ({} bytes)\n{}{}", name, text.size(), text,
                       text.ends_with('\n') ? "" : "\n");
  }
  return out;
}

using Action = Result<std::string> (*)(const Flags&);

int run(std::string_view usage, std::string_view help, Action action, Args args) {
  Flags flags;
  Options options(usage, help);
  options.positional(&flags.files);
  if (action == digest) {
    options.value("--tee", &flags.tee, "cut or pad it for snp, tdx or tpm")
        .value("--output-format", &flags.format, "hex (default), reference-values or corim");
    declare_corim(options, flags.corim);
  }
  if (action == show) {
    options.value("--entry", &flags.entry, "print this entry alone, as it is")
        .flag("--json", &flags.json, "print JSON");
  }
  if (const auto status = options.parse(args); !status) return report(status.error());
  if (options.help_shown()) return kExitOk;
  const auto out = action(flags);
  if (!out) return report(out.error());
  fmt::print("{}", *out);
  return kExitOk;
}

Command command(std::string_view name, std::string_view usage, std::string_view help,
                std::string_view summary, Action action) {
  return {.name = name, .summary = summary, .run = [=](Args args) {
            return run(usage, help, action, args);
          }};
}

}  // namespace

std::vector<Command> initdata_commands() {
  return {
      command("initdata pack", "initdata pack FILE", kPackHelp,
              "make the annotation that carries initdata", pack),
      command("initdata digest", "initdata digest [OPTION]... FILE...", kDigestHelp,
              "the digest that a guest's hardware is bound to, and its reference value", digest),
      command("initdata show", "initdata show [--entry NAME | --json] FILE", kShowHelp,
              "what initdata holds", show)};
}

}  // namespace coffer::cli
