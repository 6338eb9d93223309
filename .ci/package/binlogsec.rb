# Made by .ci/package/build from a template. The program is for Linux: so is the formula.
class Binlogsec < Formula
  desc "Read, verify and manage encrypted binary logs of MySQL and MariaDB"
  homepage "@HOME@"
  url "@HOME@/releases/download/v@VERSION@/@NAME@.tar.gz"
  version "@VERSION@"
  sha256 "@SHA256@"
  license any_of: ["MIT", "Apache-2.0"]

  depends_on arch: :x86_64
  depends_on :linux

  def install
    bin.install "binlogsec"
    man1.install Dir["man/man1/*.1"]
    bash_completion.install "completions/binlogsec.bash" => "binlogsec"
    zsh_completion.install "completions/_binlogsec"
    fish_completion.install "completions/binlogsec.fish"
    doc.install "docs", "THIRD-PARTY"
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/binlogsec --version")
    # Nothing to look at is never a pass.
    assert_match "NOTHING SCANNED", shell_output("#{bin}/binlogsec check #{testpath} 2>&1", 2)
  end
end
