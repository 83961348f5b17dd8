# The whole cycle of a portal through Perl's SOAP::Lite: `perl client.pl URL OWNER FOLDER`.
#
# SOAP::Lite cannot make stubs for this style of WSDL; its users name the parameters themselves, with its
# usual marks left in: an encodingStyle on the Envelope, xsi:type on every child, `urn:condor#operation` as
# SOAPAction. Reads FOLDER/payload.bin, writes FOLDER/fetched.out, prints what it saw as JSON.
use strict;
use warnings FATAL => 'all';
use utf8;
use JSON::PP;
use SOAP::Lite;

my ($url, $owner, $folder) = @ARGV;
my $NOTE = "Grüße <&> \"世界\" \x{2713}";
my $server = SOAP::Lite->uri('urn:condor')->proxy("$url/");
$server->on_fault(sub {
    my ($soap, $answer) = @_;
    die ref $answer ? $answer->faultstring : $soap->transport->status;
});

sub text { my ($name, $value) = @_; return SOAP::Data->name($name)->type('string')->value($value) }
sub number { my ($name, $value) = @_; return SOAP::Data->name($name)->type('int')->value($value) }
sub flag { my ($name, $value) = @_; return SOAP::Data->name($name)->type('boolean')->value($value) }
sub struct { my ($name, @children) = @_; return SOAP::Data->name($name)->value(\SOAP::Data->value(@children)) }
sub transaction { my ($txn) = @_; return struct('transaction', number(id => $txn->{id}), number(duration => $txn->{duration})) }
sub attribute { my ($name, $type, $value) = @_; return {name => $name, type => $type, value => $value} }

# An operation; the one child of its reply (`response`, `result` or `status`).
sub call { my ($operation, @children) = @_; return $server->call($operation, @children)->result }

# Repeated elements come out of a reply only by SOAP::Lite's paths: the attributes of the one ad of it ...
sub ad { my ($operation, @children) = @_; return [$server->call($operation, @children)->valueof('//classAd/item')] }

# ... and each ad of the list called $container.
sub ads {
    my ($container, $operation, @children) = @_;
    my $answer = $server->call($operation, @children);
    my $count = () = $answer->valueof("//$container/item");
    return map { [$answer->valueof("//$container/[$_]/item")] } 1 .. $count;
}

sub as_dict { my ($items) = @_; return {map { $_->{name} => $_->{value} // '' } @$items} }

sub ad_element {
    my ($element, @attributes) = @_;
    my @items = map { struct('item', text(name => $_->{name}), text(type => $_->{type}), text(value => $_->{value} // '')) } @attributes;
    return struct($element, @items);
}

sub edited {
    my ($template, @changes) = @_;
    my %changed = map { $_->{name} => 1 } @changes;
    return ((grep { !$changed{$_->{name}} } @$template), @changes);
}

sub template {
    my ($cluster, $job, $cmd, $args, $requirements) = @_;
    return ad('createJobTemplate', number(clusterId => $cluster), number(jobId => $job),
        text(owner => $owner), text(type => 'VANILLA'), text(cmd => $cmd), text(args => $args),
        text(requirements => $requirements));
}

sub job { my (@where) = @_; return as_dict(ad('getJobAd', @where)) }

sub gone {
    my (@where) = @_;
    for (1 .. 1500) {
        return JSON::PP::true if call('getJobAd', @where)->{status}{code} eq 'UNKNOWNJOB';
        select(undef, undef, undef, 0.1);
    }
    return JSON::PP::false;
}

sub submit_jobs {
    my ($data) = @_;
    my $begun = call('beginTransaction', number(duration => 60))->{transaction};
    my $extended = call('extendTransaction', transaction($begun), number(duration => 120))->{transaction};
    my $txn = transaction($extended);
    my $cluster = call('newCluster', $txn)->{integer};
    my $job = call('newJob', $txn, number(clusterId => $cluster))->{integer};
    my @here = ($txn, number(clusterId => $cluster), number(jobId => $job));
    my $made = template($cluster, $job, '/bin/cat', 'payload.bin', '');
    my @ad = edited($made, attribute('Out', 'STRING-ATTR', 'job.out'),
        attribute('TransferInput', 'STRING-ATTR', 'payload.bin'), attribute('PortalNote', 'STRING-ATTR', $NOTE));
    my $needs = $server->call('discoverJobRequirements', ad_element('jobAd', @ad));
    my @declared = map {
        call('declareFile', @here, text(name => 'payload.bin'), number(size => length $data),
            text(hashType => 'NOHASH'), text(hash => ''))->{code}
    } 1 .. 2;
    my $third = int(length($data) / 3) + 1;
    for my $offset (0, 2 * $third, $third) {
        my $piece = SOAP::Data->name('data')->type('base64Binary')->value(substr $data, $offset, $third);
        my $status = call('sendFile', @here, text(name => 'payload.bin'), number(offset => $offset), $piece);
        die $status->{message} if $status->{code} ne 'SUCCESS';
    }
    @ad = edited(\@ad, attribute('Cmd', 'STRING-ATTR', 'payload.bin'));
    my $submitted = call('submit', @here, ad_element('jobAd', @ad));
    my $second = call('newJob', $txn, number(clusterId => $cluster))->{integer};
    my @never = @{template($cluster, $second, '/bin/sleep', '600', 'FALSE')};
    call('submit', $txn, number(clusterId => $cluster), number(jobId => $second), ad_element('jobAd', @never));
    my $committed = call('commitTransaction', $txn);
    return {
        transaction => $begun->{id},
        extended => $extended->{duration},
        cluster => $cluster,
        jobs => [$job, $second],
        leading => [map { $_->{name} } @$made[0 .. 2]],
        template => as_dict($made),
        requirements => [$needs->valueof('//requirements/item')],
        declared => \@declared,
        submitted => $submitted->{status}{code},
        committed => $committed->{code},
        stale => call('newCluster', $txn)->{status}{code},
    };
}

sub await_completion {
    my ($cluster) = @_;
    my $constraint = text(constraint => "Owner == \"$owner\" && ClusterId == $cluster && ProcId == 0");
    my @states;
    for (1 .. 1500) {
        my ($ad) = ads('classAdArray', 'getJobAds', $constraint);
        my $state = as_dict($ad)->{JobStatus};
        push @states, $state if !grep { $_ eq $state } @states;
        last if $state eq '4';
        select(undef, undef, undef, 0.1);
    }
    return \@states;
}

sub fetch {
    my ($size, @where) = @_;
    my $data = '';
    while (length $data < $size) {
        my $want = $size - length $data < 40_000 ? $size - length $data : 40_000;
        my $answer = call('getFile', @where, text(name => 'job.out'), number(offset => length $data), number(length => $want));
        die $answer->{status}{message} if $answer->{status}{code} ne 'SUCCESS';
        $data .= MIME::Base64::decode($answer->{data});
    }
    return $data;
}

sub steer {
    my (@where) = @_;
    my @mails = (flag('email-user' => 'false'), flag('email-admin' => 'false'));
    my (@codes, @states);
    push @codes, call('holdJob', @where, text(reason => 'not "now"'), @mails, flag('system-hold' => 'true'))->{code};
    my $held = job(@where);
    push @states, $held->{JobStatus};
    push @codes, call('releaseJob', @where, text(reason => 'go on'), @mails)->{code};
    push @states, job(@where)->{JobStatus};
    push @codes, call('removeJob', @where, text(reason => 'enough'), flag('force-removal' => 'false'))->{code};
    push @states, job(@where)->{JobStatus};
    push @codes, call('closeSpool', @where)->{code};
    return {codes => \@codes, states => \@states, reason => $held->{HoldReason}, gone => gone(@where)};
}

sub ask_collector {
    my @machines = ads('result', 'queryStartdAds', text(constraint => 'Cpus >= 1 && MyType == "Machine"'));
    my $ad = ad_element('ad', attribute('MyType', 'STRING-ATTR', 'Portal'), attribute('Name', 'STRING-ATTR', $owner));
    my @inserted = map { call('insertAd', text(type => 'GENERIC-AD-TYPE'), $ad)->{code} } 1 .. 2;
    my @found = ads('result', 'queryAnyAds', text(constraint => "Name == \"$owner\""));
    my @nothing = ads('result', 'queryLicenseAds', text(constraint => 'FALSE'));
    return {
        machines => scalar @machines,
        inserted => \@inserted,
        found => [map { as_dict($_) } @found],
        nothing => scalar @nothing,
        version => call('getVersionString')->{message},
    };
}

sub read_file { my ($name) = @_; local $/; open my $in, '<:raw', "$folder/$name" or die $!; return scalar <$in> }
sub write_file { my ($name, $data) = @_; open my $out, '>:raw', "$folder/$name" or die $!; print $out $data; close $out; return }

my $seen = submit_jobs(read_file('payload.bin'));
my ($cluster, $first, $second) = ($seen->{cluster}, @{$seen->{jobs}});
my @where = (number(clusterId => $cluster), number(jobId => $first));
$seen->{rescheduled} = call('requestReschedule')->{code};
$seen->{states} = await_completion($cluster);
$seen->{final} = job(@where);
my @files = $server->call('listSpool', @where)->valueof('//info/item');
$seen->{spool} = {map { $_->{name} => 0 + $_->{size} } @files};
write_file('fetched.out', fetch($seen->{spool}{'job.out'}, @where));
$seen->{closed} = call('closeSpool', @where)->{code};
$seen->{gone} = gone(@where);
$seen->{second} = steer(number(clusterId => $cluster), number(jobId => $second));
$seen->{version} = call('getVersionString')->{message};
$seen->{platform} = call('getPlatformString')->{message};
$seen->{collector} = ask_collector();
print JSON::PP->new->ascii->encode($seen), "\n";
