// `coffer evidence id-block`: makes and checks ID blocks for SNP launches.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "cli/evidence.h"
#include "cli/evidence_io.h"
#include "tee/private_key.h"
#include "tee/sev-snp/expectations.h"
#include "tee/sev-snp/id_block.h"

namespace coffer::cli {
namespace {

struct IdBlockOptions {
  std::string measurement, family_id, image_id, guest_svn, policy, id_key, author_key, id_block,
      id_auth;
  bool check = false, json = false;
};

constexpr std::string_view kHelp =
    "Makes the ID block and its authentication for a guest's launch, signed with your keys, or\n"
    "checks an existing pair with --check. QEMU takes both in base64 (id-block=, id-auth=).\n\n"
    "Example: coffer evidence id-block --measurement $(coffer measure snp ...) --policy 0x30000 "
    "\\\n"
    "           --id-key id.pem --author-key author.pem --id-block block.bin --id-auth auth.bin\n"
    "         coffer evidence id-block --check --id-block block.bin --id-auth auth.bin";

void declare(Options& options, IdBlockOptions& o) {
  options.value("--measurement", &o.measurement, "launch digest, hex, 48 bytes")
      .value("--family-id", &o.family_id, "hex, 16 bytes; default zero")
      .value("--image-id", &o.image_id, "hex, 16 bytes; default zero")
      .value("--guest-svn", &o.guest_svn, "default 0")
      .value("--policy", &o.policy, "guest policy, default 0x30000")
      .value("--id-key", &o.id_key, "PEM, P-384: signs the block")
      .value("--author-key", &o.author_key, "PEM, P-384: signs the ID key; optional")
      .value("--id-block", &o.id_block, "file of the 96-byte block")
      .value("--id-auth", &o.id_auth, "file of the 4096-byte authentication")
      .flag("--check", &o.check, "check the two files instead of writing them")
      .flag("--json", &o.json, "print JSON");
}

Status fill(std::span<std::uint8_t> field, const std::string& hex, std::string_view option) {
  if (hex.empty()) return {};
  COFFER_TRY(const Bytes bytes, snp::parse_octets(hex, field.size(), false, option));
  std::ranges::copy(bytes, field.begin());
  return {};
}

Result<snp::IdBlock> block_of(const IdBlockOptions& o) {
  snp::IdBlock out;
  if (o.measurement.empty()) return fail(Code::kInvalidArgument, "option '--measurement': missing");
  COFFER_TRY_VOID(fill(out.launch_digest, o.measurement, "--measurement"));
  COFFER_TRY_VOID(fill(out.family_id, o.family_id, "--family-id"));
  COFFER_TRY_VOID(fill(out.image_id, o.image_id, "--image-id"));
  if (!o.guest_svn.empty()) {
    COFFER_TRY(const std::uint64_t svn, to_number("--guest-svn", o.guest_svn));
    if (svn > 0xFFFFFFFF) {
      return fail(Code::kInvalidArgument, "option '--guest-svn': more than 32 bits");
    }
    out.guest_svn = static_cast<std::uint32_t>(svn);
  }
  if (!o.policy.empty()) {
    COFFER_TRY(out.policy.raw, to_number("--policy", o.policy));
  }
  if (!out.policy.reserved_one() || !out.policy.reserved_is_zero()) {
    return fail(Code::kInvalidArgument,
                fmt::format("option '--policy': {:#x}: bit 17 must be one and bits 63:26 zero",
                            out.policy.raw));
  }
  return out;
}

Result<tee::PrivateKey> read_key(const std::string& path) {
  COFFER_TRY(const std::string pem, read_file(path));
  auto key = tee::PrivateKey::from_pem(pem);
  if (!key) return fail(std::move(key.error()).with_context(fmt::format("'{}'", path)));
  return key;
}

Status make(const IdBlockOptions& o) {
  COFFER_TRY(const snp::IdBlock block, block_of(o));
  if (o.id_key.empty()) return fail(Code::kInvalidArgument, "option '--id-key': missing");
  COFFER_TRY(const tee::PrivateKey id_key, read_key(o.id_key));
  std::optional<tee::PrivateKey> author_key;
  if (!o.author_key.empty()) {
    COFFER_TRY(author_key, read_key(o.author_key));
  }
  const auto block_bytes = snp::encode_id_block(block);
  COFFER_TRY(const auto auth,
             snp::make_id_auth(block, id_key, author_key ? &*author_key : nullptr));
  COFFER_TRY(const auto id_digest, snp::id_key_digest(id_key.public_key()));
  if (!o.id_block.empty()) COFFER_TRY_VOID(write_file(o.id_block, as_text(block_bytes)));
  if (!o.id_auth.empty()) COFFER_TRY_VOID(write_file(o.id_auth, as_text(auth)));
  nlohmann::json out{{"id_block", to_base64(block_bytes)},
                     {"id_auth", to_base64(auth)},
                     {"id_key_digest", to_hex(id_digest)}};
  if (author_key) {
    COFFER_TRY(const auto author_digest, snp::id_key_digest(author_key->public_key()));
    out["author_key_digest"] = to_hex(author_digest);
  }
  if (o.json) {
    fmt::print("{}\n", out.dump(2));
  } else {
    for (const auto& [key, value] : out.items()) {
      fmt::print("{:<18} {}\n", key, value.get<std::string>());
    }
  }
  return {};
}

Result<tee::Verdict> check_files(const IdBlockOptions& o) {
  if (o.id_block.empty() || o.id_auth.empty()) {
    return fail(Code::kInvalidArgument, "options '--id-block' and '--id-auth': both are needed");
  }
  COFFER_TRY(const Bytes block, read_bytes(o.id_block));
  COFFER_TRY(const Bytes auth, read_bytes(o.id_auth));
  return snp::check_id_block(block, auth);
}

int run(Args args) {
  IdBlockOptions o;
  Options options("evidence id-block [--check] [OPTION...]", kHelp);
  declare(options, o);
  if (const auto status = options.parse(args); !status) return report(status.error());
  if (options.help_shown()) return kExitOk;
  if (!o.check) {
    const auto status = make(o);
    return status ? kExitOk : report(status.error());
  }
  const auto verdict = check_files(o);
  return verdict ? print_verdict(*verdict, o.json) : report(verdict.error());
}

}  // namespace

Command evidence_id_block() {
  return {.name = "evidence id-block", .summary = "make, sign and check SNP ID blocks", .run = run};
}

}  // namespace coffer::cli
